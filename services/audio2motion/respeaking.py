"""Speaks what a dataset holds out: from sound, head pose and training frames alone."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.emotions import EMOTIONS_FILE, read_emotions
from services.audio2motion.idle import Clock, idle_tracks
from services.audio2motion.motion_model import FeelingMotionModel, load_motion_model
from services.audio2motion.random_streams import random_stream
from services.audio2motion.speaking import speak
from services.audio2motion.tracks import Tracks, frames_of
from shared.contracts.artifact import read_manifest
from shared.contracts.motion_model import MotionModelManifest
from shared.dataset_reader import TrackedDataset

F32 = NDArray[np.float32]

ARTICULATION = 1.0
"""Judged as it speaks to users."""


def respeak(
    model: Path,
    tracked: TrackedDataset,
    audio: F32,
    pose: Tracks,
    shown: Tracks,
    *,
    avatar: Path | None = None,
) -> Tracks:
    """Tracks of the held-out frames.

    Args:
        model: The motion model's folder.
        tracked: With a split.
        audio: Of the whole capture. [samples]
        pose: Rotation and translation of the held-out frames. [T, 3] each
        shown: Tracks of the training frames.
        avatar: Whose mouth it is where the model was fitted to others; see ``speak``.
    """
    manifest = tracked.manifest
    idle = idle_tracks(
        shown,
        manifest.expression_names,
        Clock(manifest.fps, manifest.fps, manifest.n_frames),
        pose_source="fixed",
        generator=random_stream("heldout", 0),
    )
    # Windows of sound reach back over the split, so the whole capture is spoken and then cut.
    for name, track in pose.items():
        idle[name][manifest.n_train :] = track
    labels = tracked.folder / EMOTIONS_FILE
    module = load_motion_model(read_manifest(model, MotionModelManifest).motion_model)
    is_felt = labels.is_file() and isinstance(module, FeelingMotionModel)
    tracks = speak(
        model,
        audio,
        idle,
        shown,
        fps=manifest.fps,
        articulation=ARTICULATION,
        avatar=avatar or tracked.folder,
        emotions=read_emotions(labels) if is_felt else (),
    )
    return frames_of(tracks, slice(manifest.n_train, manifest.n_frames))
