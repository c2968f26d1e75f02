"""Tracked dataset to motion model: learns how one subject moves when speaking."""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.audio2motion.motion_model import MotionModel, SpokenCapture
from services.audio2motion.mouth import measure_lips, measure_mouth, write_mouth
from services.audio2motion.tracks import (
    coefficients_of,
    frames_of,
    motion_tracks,
    pose_deviations,
)
from services.audio2motion.voice_activity import PAUSE_S, voice_activity
from shared.contracts.artifact import write_manifest
from shared.contracts.motion_model import MotionModelManifest
from shared.dataset_reader import TrackedDataset, open_dataset, read_dataset_audio
from shared.errors import InvalidInput
from shared.head_model import load_head_model
from shared.media.audio import SAMPLE_RATE, fit_length
from shared.plugins import load_plugin
from shared.progress import Progress, part_of

F32 = NDArray[np.float32]

MIN_SECONDS = 3.0
MIN_SPEECH_SECONDS = 1.5
MIN_LIP_MOTION_M = 2e-4
"""Deviation of the lips; speech moves them ten times as much."""


class FitMotionOptions(BaseModel):
    """Choices of ``fit_motion_model``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    motion_model: str = "speaker_regressor"
    """Registry name of the motion model."""
    seed: int = 0
    """Seed of everything random in the fit."""


def fit_motion_model(
    dataset: Path, options: FitMotionOptions, out: Path, progress: Progress
) -> MotionModelManifest:
    """Fit ``options.motion_model`` to the training frames of ``dataset``; held-out ones are unread.

    Raises:
        InvalidInput: ``no_audio`` the dataset has no sound; ``no_speech`` too little of it is
            speech; ``too_short`` too few valid training frames; ``still_mouth`` the mouth does
            not move.
    """
    model = load_motion_model(options.motion_model)
    tracked = open_dataset(dataset)
    shown, shape = _training_frames(tracked)
    manifest = tracked.manifest
    progress(0.05, "measuring the mouth")
    valid = shown.coefficients[shown.is_valid]
    torch.manual_seed(options.seed)
    head_model = load_head_model(dataset / "head_model.npz")
    lips = measure_lips(head_model, shape, valid.mean(axis=0))
    _check_mouth_moves(valid, lips.effect)
    out.mkdir(parents=True, exist_ok=True)
    activity = voice_activity(shown.audio, shown.fps, len(shown.coefficients), shortest_s=PAUSE_S)
    write_mouth(out, measure_mouth(lips, valid, activity[shown.is_valid] == 0))
    model.fit(
        shown._replace(lip_effect=lips.effect),
        seed=options.seed,
        out=out,
        progress=part_of(progress, 0.1, 1.0),
    )
    fitted = MotionModelManifest(
        motion_model=options.motion_model,
        audio_encoder="+".join(model.AUDIO_ENCODERS),
        head_model=manifest.head_model,
        expression_names=manifest.expression_names,
        fps=manifest.fps,
        n_frames=int(shown.is_valid.sum()),
        capture_sha256=manifest.capture_sha256,
        seed=options.seed,
    )
    write_manifest(out, fitted)
    return fitted


def load_motion_model(name: str) -> MotionModel:
    """The motion model module called ``name``."""
    return cast(MotionModel, load_plugin("services.audio2motion.motion_models", name))


def _training_frames(tracked: TrackedDataset) -> tuple[SpokenCapture, F32]:
    """What the capture shows before the split, without its lips' effect, and its neutral shape."""
    manifest = tracked.manifest
    audio = read_dataset_audio(tracked)
    if audio is None:
        raise InvalidInput(
            "no_audio",
            f"{tracked.folder} has no sound to learn speaking from; "
            "capture with a microphone, or animate with the motion model of another capture",
        )
    frames = slice(0, manifest.n_train)
    # Sound of the held-out frames is cut off, so that nothing can be learned from it.
    audio = fit_length(audio, round(manifest.n_train / manifest.fps * SAMPLE_RATE))
    is_valid = tracked.tracking["is_valid"][frames].astype(np.bool_)
    _check_enough(is_valid, audio, manifest.fps)
    tracks = frames_of(motion_tracks(tracked.tracking), frames)
    coefficients = coefficients_of(tracks)
    shown = SpokenCapture(
        audio=audio,
        coefficients=coefficients,
        pose=pose_deviations(tracks, tracks),
        is_valid=is_valid,
        lip_effect=np.zeros((coefficients.shape[1], 0, 3), np.float32),
        fps=manifest.fps,
    )
    return shown, tracked.tracking["shape"].astype(np.float32)


def _check_enough(is_valid: NDArray[np.bool_], audio: F32, fps: int) -> None:
    seconds = float(is_valid.sum()) / fps
    if seconds < MIN_SECONDS:
        raise InvalidInput(
            "too_short",
            f"{seconds:.1f} s of valid training frames, at least {MIN_SECONDS:.0f} s are needed; "
            "10 s and more make a good motion model",
        )
    spoken = float(voice_activity(audio, fps, len(is_valid)).sum()) / fps
    if spoken < MIN_SPEECH_SECONDS:
        raise InvalidInput(
            "no_speech",
            f"{spoken:.1f} s of the capture's sound is loud enough to be speech, at least "
            f"{MIN_SPEECH_SECONDS:.1f} s are needed; capture the person speaking",
        )


def _check_mouth_moves(coefficients: F32, lip_effect: F32) -> None:
    moved = np.linalg.norm(
        np.einsum("p,plc->lc", coefficients.std(axis=0), np.abs(lip_effect)), axis=1
    )
    if float(moved.max()) < MIN_LIP_MOTION_M:
        raise InvalidInput(
            "still_mouth",
            f"the lips move {1e3 * float(moved.max()):.2f} mm in the capture; "
            "there is nothing to learn speaking from",
        )
