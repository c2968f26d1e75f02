"""Values over time that the report draws and ``curves.npz`` keeps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.evaluator.baselines import lip_distance, lips_of
from services.evaluator.gather import Sight
from services.evaluator.lip_sync.distances import MAX_SHIFT
from services.evaluator.metric import Evidence, paired
from services.evaluator.mouth_and_sound import OffsetCurve, offset_curve
from services.evaluator.steadiness import second_differences
from shared.contracts.tracked_dataset import FPS
from shared.landmarks import RIGID, mouth_opening
from shared.media.audio import SAMPLE_RATE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

QUIET_DB = -45.0
"""Loudness below it is drawn as silence."""


class Curves(NamedTuple):
    """Per-frame values [T], and what depends on a shift; also stored as ``curves.npz``."""

    opening: F64
    """Mouth opening of the video."""
    reference_opening: F64 | None
    """Of the capture."""
    loudness: F64 | None
    """0 to 1."""
    psnr: F64 | None
    """dB"""
    ssim: F64 | None
    lip_distance: F64 | None
    """px at 512 px height"""
    shaking: F64
    """Jitter, px at 512 px height."""
    offset: OffsetCurve | None = None
    """Correlation of mouth and sound at each shift."""
    reference_offset: OffsetCurve | None = None
    """The same of the capture's mouth."""
    sync_distance: F64 | None = None
    """SyncNet's mean distance at the shifts of ``sync_shifts_ms``. [31]"""
    reference_sync_distance: F64 | None = None


def gather_curves(sight: Sight, evidence: Evidence) -> Curves:
    """What of the evidence can be drawn."""
    n_frames = len(sight.video.landmarks)
    lips: F64 | None = None
    opening: F64 | None = None
    offsets: list[OffsetCurve | None] = [None, None]
    if sight.reference is not None:
        preds, target = paired(sight.video, sight.reference)
        lips = lip_distance(lips_of(preds), lips_of(target))
        opening = mouth_opening(sight.reference.landmarks).astype(np.float64)
    if evidence.audio is not None:
        tracks = (sight.video, sight.reference)
        offsets = [
            offset_curve(evidence.audio, track.landmarks, evidence.fps) if track else None
            for track in tracks
        ]
    shaking = np.full(n_frames, np.nan)
    shaking[1:-1] = second_differences(sight.video, RIGID)[: max(n_frames - 2, 0)]
    sync = [
        None if isinstance(found, str) else found.distances.by_shift
        for found in (evidence.lip_sync, evidence.reference_lip_sync)
    ]
    return Curves(
        opening=mouth_opening(sight.video.landmarks).astype(np.float64),
        reference_opening=opening,
        loudness=None if evidence.audio is None else frame_loudness(evidence.audio, n_frames),
        psnr=None if sight.not_compared else sight.pictures.get("psnr"),
        ssim=None if sight.not_compared else sight.pictures.get("ssim"),
        lip_distance=lips,
        shaking=shaking,
        offset=offsets[0],
        reference_offset=offsets[1],
        sync_distance=sync[0],
        reference_sync_distance=sync[1],
    )


def stored_curves(curves: Curves) -> dict[str, F64]:
    """Arrays of ``curves.npz``: what there is, by name."""
    arrays: dict[str, F64] = {}
    for name, value in curves._asdict().items():
        if isinstance(value, OffsetCurve):
            arrays[f"{name}_ms"] = value.offsets_ms
            arrays[f"{name}_correlation"] = value.correlation
        elif value is not None:
            arrays[name] = value
    return arrays


def sync_shifts_ms() -> F64:
    """How late the sound is at each of SyncNet's 31 shifts, ms."""
    return (np.arange(2 * MAX_SHIFT + 1) - MAX_SHIFT) * 1000.0 / FPS


def frame_loudness(audio: F32, n_frames: int) -> F64:
    """Loudness of each frame's sound, 0 (silence) to 1 (the loudest frame). [T]"""
    hop = SAMPLE_RATE // FPS
    power = np.square(audio[: n_frames * hop].reshape(n_frames, hop).astype(np.float64)).mean(1)
    level = 10 * np.log10(power / max(float(power.max()), 1e-10) + 1e-10)
    return np.asarray(np.clip(1 - level / QUIET_DB, 0, 1))
