"""What a motion carries besides the head model's parameters, for avatars that ask for it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from services.audio2motion.tracks import Tracks, motion_tracks
from shared.audio_windows import audio_windows
from shared.contracts.artifact import read_arrays, write_arrays
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import AUDIO_FEATURES_TABLE, UPPER_FACE_TABLE
from shared.errors import InvalidInput
from shared.head_model import HeadPose, load_head_model
from shared.upper_face import upper_face_signal

F32 = NDArray[np.float32]

_SAME = 1e-6
"""Squared deviation of a channel that counts as none."""


class Carried(NamedTuple):
    """None is what the avatar does not ask for."""

    audio_features: F32 | None  # [T, W, C]
    upper_face: F32 | None  # [T, 7]


def carry(
    avatar: Path, about: AvatarManifest, tracks: Tracks, audio: F32 | None, fps: int
) -> Carried:
    """What ``avatar`` asks for, of the frames of ``tracks``.

    Args:
        avatar: The artifact's folder.
        about: Its manifest.
        tracks: The motion. [T, ...]
        audio: On the frames' clock. [samples]
        fps: Frames per second.

    Raises:
        InvalidInput: ``no_audio`` when the avatar listens and there is no sound.
    """
    features = upper_face = None
    if about.feature_encoder is not None:
        if audio is None:
            raise InvalidInput(
                "no_audio",
                f"the avatar ({about.method}) is driven by sound, and there is none; "
                "capture with a microphone, or train with the method rigged_gaussians",
            )
        features = audio_windows(
            about.feature_encoder,
            audio,
            n_rows=about.feature_rows,
            fps=fps,
            n_frames=len(tracks["expr"]),
        )
    if about.needs_upper_face:
        upper_face = _upper_face(avatar, tracks)
    return Carried(features, upper_face)


def write_carried(out: Path, carried: Carried) -> None:
    """Write the files of the motion artifact that there are, and remove the others."""
    for name, array, table in (
        ("audio_features", carried.audio_features, AUDIO_FEATURES_TABLE),
        ("upper_face", carried.upper_face, UPPER_FACE_TABLE),
    ):
        path = out / f"{name}.npz"
        if array is None:
            path.unlink(missing_ok=True)
        else:
            write_arrays(path, {name: np.ascontiguousarray(array)}, table)


def _upper_face(avatar: Path, tracks: Tracks) -> F32:
    """Brows and blinks of ``tracks`` in the units that the avatar was trained with.

    Numbers that a user supplied (action units) relate to the tracked ones channel by channel, by
    a line through the training frames.
    """
    model = load_head_model(avatar / "head_model.npz")
    training = read_arrays(avatar / "tracking.npz", TRAINING_TABLE)
    shape = torch.from_numpy(training["shape"])
    seen, wanted = (
        upper_face_signal(model, shape, pose_of(each)).numpy()
        for each in (motion_tracks(training), tracks)
    )
    trained = read_arrays(avatar / "upper_face.npz", UPPER_FACE_TABLE)["upper_face"]
    trained = trained.astype(np.float32)
    if np.array_equal(seen, trained):
        return np.asarray(wanted, np.float32)
    centred = seen - seen.mean(0)
    spread = np.square(centred).mean(0)
    slope = (centred * (trained - trained.mean(0))).mean(0) / np.maximum(spread, _SAME)
    moved = trained.mean(0) + slope * (wanted - seen.mean(0))
    return np.asarray(np.clip(moved, trained.min(0), trained.max(0)), np.float32)


def pose_of(tracks: Tracks) -> HeadPose:
    """Tracks as the head model takes them."""
    return HeadPose(
        *(torch.from_numpy(np.ascontiguousarray(tracks[name])) for name in HeadPose._fields)
    )
