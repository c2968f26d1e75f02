"""Another performance as driver: a tracked dataset of any video, or a motion, on this avatar."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from services.audio2motion.controls import HEAD_TRACKS
from services.audio2motion.head_pose_loop import loop_track
from services.audio2motion.idle import Clock
from services.audio2motion.retarget import TargetFace, face_of, limit_face, retarget_coefficients
from services.audio2motion.tracks import (
    Tracks,
    coefficients_of,
    motion_tracks,
    split_coefficients,
)
from shared.contracts.artifact import MANIFEST, Manifest, read_arrays, read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.dataset_reader import open_dataset
from shared.errors import InvalidInput
from shared.head_model import load_head_model

F32 = NDArray[np.float32]


class _AnyManifest(Manifest):
    """Only the kind matters."""

    model_config = Manifest.model_config | {"extra": "ignore"}


def driver_tracks(
    folder: Path, about: AvatarManifest, target: TargetFace, shown: Tracks, clock: Clock
) -> Tracks:
    """What the driver does, as the avatar would do it.

    The face is retargeted and kept in the range the avatar saw; the head moves about the avatar's
    median place as the driver's does about its own, no farther than the capture's head did. A
    driver that is shorter than the motion is played to the end, back, and again; a driver of one
    frame is a still.

    Args:
        folder: A tracked dataset of anybody, or a motion for this avatar's head model.
        about: The avatar.
        target: Its face.
        shown: Its training frames.
        clock: The motion's frames; ``source_fps`` is not used.

    Raises:
        InvalidInput: ``not_an_artifact`` neither; ``motion_incompatible`` the motion is of
            another head model; ``no_face`` no frame of the dataset is valid.
    """
    if _kind_of(folder) == "motion":
        tracks, fps = _of_motion(folder, about)
        face = limit_face(coefficients_of(tracks), target)
    else:
        tracks, fps, face = _of_dataset(folder, target)
    held = tracks | split_coefficients(face) | _head_of(tracks, shown)
    places = _played(len(face), fps, clock)
    return {name: loop_track(track, places) for name, track in held.items()}


def _played(n_source: int, source_fps: int, clock: Clock) -> F32:
    """Which driver frame is shown when: from its start at its own speed, in step with its sound.

    -> 0 to ``n_source - 1``. [n_frames]
    """
    place = np.arange(clock.n_frames) / clock.fps * source_fps
    last = n_source - 1
    return np.asarray(last - np.abs(np.mod(place, max(2 * last, 1)) - last), np.float32)


def _of_motion(folder: Path, about: AvatarManifest) -> tuple[Tracks, int]:
    manifest = read_manifest(folder, MotionManifest)
    if (manifest.head_model, manifest.expression_names) != (
        about.head_model,
        about.expression_names,
    ):
        raise InvalidInput(
            "motion_incompatible",
            f"{folder} is a motion of {manifest.head_model}, the avatar is of {about.head_model}; "
            "retarget it with: talksplat import performance",
        )
    return motion_tracks(read_arrays(folder / "motion.npz", MOTION_TABLE)), manifest.fps


def _of_dataset(folder: Path, target: TargetFace) -> tuple[Tracks, int, F32]:
    tracked = open_dataset(folder)
    is_valid = tracked.tracking["is_valid"].astype(np.bool_)
    if not is_valid.any():
        raise InvalidInput("no_face", f"no frame of {folder} shows a face that was tracked")
    frames = np.flatnonzero(is_valid)
    # Rejected frames repeat the valid one before.
    nearest = frames[
        np.clip(np.searchsorted(frames, np.arange(len(is_valid)), "right") - 1, 0, None)
    ]
    tracks = {name: track[nearest] for name, track in motion_tracks(tracked.tracking).items()}
    seen = coefficients_of(tracks)
    shape = tracked.tracking["shape"].astype(np.float32)
    source = face_of(load_head_model(folder / "head_model.npz"), shape, seen)
    return tracks, tracked.manifest.fps, retarget_coefficients(seen, source, target)


def _head_of(tracks: Tracks, shown: Tracks) -> Tracks:
    """The driver's head about the avatar's place. [T, 3] each"""
    moved = {}
    for name in HEAD_TRACKS:
        middle = np.median(shown[name], axis=0)
        offset = tracks[name] - np.median(tracks[name], axis=0)
        reach = np.abs(shown[name] - middle).max(axis=0)
        moved[name] = (middle + np.clip(offset, -reach, reach)).astype(np.float32)
    return moved


def _kind_of(folder: Path) -> str:
    try:
        kind = _AnyManifest.model_validate_json((folder / MANIFEST).read_bytes()).kind
    except (OSError, ValidationError) as error:
        raise InvalidInput("not_an_artifact", f"{folder} is no artifact: {error}") from error
    if kind not in {"motion", "tracked_dataset"}:
        raise InvalidInput(
            "not_an_artifact",
            f"{folder} is a {kind}; a driver is a tracked dataset or a motion: "
            "talksplat preprocess makes one of any video",
        )
    return kind
