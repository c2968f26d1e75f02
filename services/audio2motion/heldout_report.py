"""How well a motion model speaks the frames that its captures held out, measured on the mesh."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from services.audio2motion.respeaking import respeak
from services.audio2motion.tracks import Tracks, frames_of, motion_tracks
from shared.dataset_reader import TrackedDataset, read_dataset_audio
from shared.head_model import (
    HeadPose,
    landmark_patch,
    landmarks_on,
    load_head_model,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import (
    INNER_LIP_PAIRS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
)
from shared.progress import Progress

F32 = NDArray[np.float32]
Report = dict[str, float | int | str | None]

REPORT_FILE = "heldout.json"
_MAX_LAG = 5
_MIN_FRAMES = 20
"""Fewer say nothing about a lag."""
_LEAST_MOTION_M = 1e-6
"""A mouth that moves less has no correlation."""
_MM = 1000.0


def write_heldout_report(
    model: Path, datasets: Sequence[TrackedDataset], progress: Progress
) -> None:
    """Let ``model`` speak what each dataset holds out; without any, there is no report."""
    reports: list[Report] = []
    for number, tracked in enumerate(datasets):
        manifest = tracked.manifest
        audio = read_dataset_audio(tracked)
        if manifest.n_train < manifest.n_frames and audio is not None:
            progress(number / len(datasets), "speaking held-out frames")
            all_tracks = motion_tracks(tracked.tracking)
            held = slice(manifest.n_train, manifest.n_frames)
            shown = frames_of(all_tracks, slice(0, manifest.n_train))
            truth = frames_of(all_tracks, held)
            pose = {name: truth[name] for name in ("rotation", "translation")}
            spoken = respeak(model, tracked, audio, pose, shown)
            is_valid = tracked.tracking["is_valid"][held].astype(np.bool_)
            told: Report = {"dataset": tracked.folder.name, "capture": manifest.capture_sha256}
            reports.append(told | judge_motion(tracked, spoken, truth, shown, is_valid))
    (model / REPORT_FILE).unlink(missing_ok=True)
    if reports:
        text = json.dumps(reports, indent=1) + "\n"
        (model / REPORT_FILE).write_text(text, encoding="utf-8")
    progress(1.0, "motion model fitted")


def judge_motion(
    tracked: TrackedDataset,
    spoken: Tracks,
    truth: Tracks,
    shown: Tracks,
    is_valid: NDArray[np.bool_],
) -> Report:
    """Errors of a motion against the tracked one, on landmarks of the subject's mesh, head still.

    Returns:
        ``lve_mm2``: squared error of the worst of the 40 lip landmarks, mean over frames (the lip
        vertex error of UniTalker); ``lip_distance_mm``: mean distance of the lips, each set
        centred, and ``mean_mouth_mm``: the same of the mean training mouth; ``upper_variance_mm2``
        and ``upper_variance_tracked_mm2``: variance in time of brows and lids; ``opening_corr``
        with ``lag_frames``, positive when the spoken mouth is late.
    """
    mesh = [_face_points(tracked, each) for each in (spoken, truth)]
    mean = {name: track.mean(axis=0, keepdims=True) for name, track in shown.items()}
    lips = [points[:, list(LIPS)] for points in mesh]
    resting = _face_points(tracked, mean)[:, list(LIPS)]
    upper = [points[:, [*RIGHT_BROW, *LEFT_BROW, *RIGHT_EYE, *LEFT_EYE]] for points in mesh]
    worst = np.square(lips[0] - lips[1]).sum(axis=2).max(axis=1)
    correlation, lag = _best_lag(*(_opening(points) for points in mesh))
    return {
        "n_frames": int(is_valid.sum()),
        "lve_mm2": _told(worst[is_valid].mean() * _MM**2),
        "lip_distance_mm": _told(_apart(lips[0], lips[1])[is_valid].mean() * _MM),
        "mean_mouth_mm": _told(_apart(resting, lips[1])[is_valid].mean() * _MM),
        "upper_variance_mm2": _told(upper[0].var(axis=0).sum(axis=1).mean() * _MM**2),
        "upper_variance_tracked_mm2": _told(upper[1].var(axis=0).sum(axis=1).mean() * _MM**2),
        "opening_corr": correlation,
        "lag_frames": lag,
    }


def _face_points(tracked: TrackedDataset, tracks: Tracks) -> F32:
    """Landmarks on the subject's mesh, the head held still. [T, 478, 3] m"""
    model, _ = landmark_patch(load_head_model(tracked.folder / "head_model.npz"))
    still = np.zeros((len(tracks["expr"]), 3), np.float32)
    held = tracks | {"rotation": still, "neck_pose": still, "translation": still}
    pose = HeadPose(*(torch.from_numpy(held[name]) for name in HeadPose._fields))
    neutral = neutral_vertices(model, torch.from_numpy(tracked.tracking["shape"]))
    return np.asarray(landmarks_on(model, pose_vertices(model, neutral, pose)).numpy(), np.float32)


def _opening(points: F32) -> F32:
    upper, lower = INNER_LIP_PAIRS[4]
    return np.asarray(points[:, upper, 1] - points[:, lower, 1])


def _apart(a: F32, b: F32) -> F32:
    """Mean distance of two sets of lips, each centred. [T, 40, 3] twice -> [T]"""
    off = a - a.mean(axis=1, keepdims=True) - b + b.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.norm(off, axis=2).mean(axis=1))


def _best_lag(spoken: F32, truth: F32) -> tuple[float | None, int | None]:
    n = len(truth)
    found = []
    for lag in range(-_MAX_LAG, _MAX_LAG + 1):
        a = spoken[max(lag, 0) : n + min(lag, 0)]
        b = truth[max(-lag, 0) : n + min(-lag, 0)]
        if len(a) >= _MIN_FRAMES and min(a.std(), b.std()) > _LEAST_MOTION_M:
            found.append((float(np.corrcoef(a, b)[0, 1]), -abs(lag), lag))
    if not found:
        return None, None
    correlation, _, lag = max(found)
    return round(correlation, 4), lag


def _told(value: np.floating[Any]) -> float:
    return round(float(value), 4)
