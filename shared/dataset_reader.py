"""Reads a tracked dataset lazily: arrays at once, pictures one frame at a time."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import Arrays, read_arrays, read_manifest
from shared.contracts.motion import UPPER_FACE_TABLE
from shared.contracts.tracked_dataset import (
    FLOW_POSE_TABLE,
    TRACKING_TABLE,
    TrackedDatasetManifest,
)
from shared.errors import InvalidInput
from shared.media.audio import read_audio
from shared.media.image import read_gray, read_rgb

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

PICTURES = {"frames": "jpg", "mattes": "png", "regions": "png"}
"""Folders with one picture per frame, and how their files end."""


class TrackedDataset(NamedTuple):
    """An opened tracked dataset; it holds no pictures."""

    folder: Path
    manifest: TrackedDatasetManifest
    tracking: Arrays
    """Arrays of TRACKING_TABLE."""


def open_dataset(folder: Path) -> TrackedDataset:
    """Read and check the manifest and the tracking arrays.

    Raises:
        InvalidInput: ``not_an_artifact`` or ``bad_arrays``.
    """
    manifest = read_manifest(folder, TrackedDatasetManifest)
    tracking = read_arrays(folder / "tracking.npz", TRACKING_TABLE)
    n_tracked = len(tracking["is_valid"])
    if n_tracked != manifest.n_frames:
        raise InvalidInput(
            "bad_arrays", f"tracking.npz has {n_tracked} frames, the manifest {manifest.n_frames}"
        )
    return TrackedDataset(folder, manifest, tracking)


def check_pictures(dataset: TrackedDataset) -> None:
    """Are the pictures of all frames there?

    Raises:
        InvalidInput: ``incomplete_dataset`` naming what is missing.
    """
    for name, ending in PICTURES.items():
        wanted = [f"{frame:06d}.{ending}" for frame in range(dataset.manifest.n_frames)]
        missing = [file for file in wanted if not (dataset.folder / name / file).is_file()]
        if missing:
            raise InvalidInput(
                "incomplete_dataset",
                f"{dataset.folder / name} lacks {len(missing)} of {len(wanted)} pictures, the "
                f"first is {missing[0]}; copy the dataset whole, or preprocess the capture again",
            )


def read_frame(dataset: TrackedDataset, frame: int) -> U8:
    """RGB crop of one frame. [S, S, 3]"""
    return read_rgb(dataset.folder / "frames" / f"{frame:06d}.jpg")


def read_matte(dataset: TrackedDataset, frame: int) -> U8:
    """Person matte of one frame, 255 = person. [S, S]"""
    return read_gray(dataset.folder / "mattes" / f"{frame:06d}.png")


def read_regions(dataset: TrackedDataset, frame: int) -> U8:
    """Region labels of one frame, see ``tracked_dataset.REGIONS``. [S, S]"""
    return read_gray(dataset.folder / "regions" / f"{frame:06d}.png")


def read_plate(dataset: TrackedDataset) -> U8:
    """RGB background without the person, at the capture's size. [H, W, 3]"""
    return read_rgb(dataset.folder / "plate.png")


def read_dataset_audio(dataset: TrackedDataset) -> F32 | None:
    """Sound on the frames' clock at 16 kHz, None without sound.

    Frame i begins at sample ``640 i``.
    """
    if not dataset.manifest.has_audio:
        return None
    return read_audio(dataset.folder / "audio.wav")


def read_upper_face(dataset: TrackedDataset) -> F32 | None:
    """Brows and blinks of all frames where the user supplied them, else None. [T, 7]

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    path = dataset.folder / "upper_face.npz"
    if not path.is_file():
        return None
    found: F32 = read_arrays(path, UPPER_FACE_TABLE)["upper_face"].astype(np.float32)
    n_frames = dataset.manifest.n_frames
    if len(found) != n_frames or not np.isfinite(found).all():
        raise InvalidInput(
            "bad_arrays",
            f"{path} has {len(found)} frames and must have {n_frames}, all of them numbers; "
            "import it again",
        )
    return found


def read_flow_pose(dataset: TrackedDataset) -> Arrays:
    """Head poses of all frames as steadied by optical flow: ``rotation``, ``translation``.

    Raises:
        InvalidInput: ``no_flow_pose``, or ``bad_arrays``.
    """
    path = dataset.folder / "flow_pose.npz"
    if not path.is_file():
        raise InvalidInput(
            "no_flow_pose",
            f"{dataset.folder} has no head poses steadied by optical flow; continue its "
            "preprocessing with --from flow, or train with --method-option poses=tracked",
        )
    found = read_arrays(path, FLOW_POSE_TABLE)
    for name, values in found.items():
        if values.shape != dataset.tracking[name].shape or not np.isfinite(values).all():
            raise InvalidInput(
                "bad_arrays",
                f"{name} of {path} is {list(values.shape)} and must be "
                f"{list(dataset.tracking[name].shape)}, all of it numbers; preprocess from flow on",
            )
    return found


def valid_frames(dataset: TrackedDataset, start: int, end: int) -> list[int]:
    """Numbers of the frames from ``start`` to before ``end`` that were not rejected."""
    is_valid = dataset.tracking["is_valid"]
    return [frame for frame in range(start, end) if is_valid[frame]]
