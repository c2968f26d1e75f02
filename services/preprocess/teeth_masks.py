"""Takes teeth masks into a tracked dataset's regions, from whatever segmented them.

As in TalkingGaussian: what the masks call teeth is taken from the face and given to the inside of
the mouth; teeth of the dataset's own that they do not show become inside of the mouth.
"""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import write_manifest
from shared.contracts.tracked_dataset import REGIONS, TrackedDatasetManifest
from shared.dataset_reader import TrackedDataset, open_dataset, read_regions
from shared.errors import InvalidInput
from shared.media.image import read_gray, write_png

U8 = NDArray[np.uint8]

TEETH, INSIDE = REGIONS.index("teeth"), REGIONS.index("mouth_inside")
_NAME = re.compile(r"(\d+)\.png")
_MAX_SHARE = 0.1
"""Of the picture; more is no mask of teeth."""


def import_teeth(masks: Path, dataset: Path) -> TrackedDatasetManifest:
    """Relabel the dataset's regions by a PNG per frame, ``0.png`` or ``000000.png`` and so on.

    Masks have two values, zero and teeth, and the size of the dataset's frames or of the capture.

    Raises:
        InvalidInput: ``bad_teeth_masks`` and what opening the dataset raises; then nothing is
            written.
    """
    tracked = open_dataset(dataset)
    files = _files_by_frame(masks, tracked.manifest.n_frames)
    fresh = dataset / "regions.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        for frame, file in files.items():
            labels = read_regions(tracked, frame)
            is_teeth = read_mask(file, tracked, frame)
            labels = np.where((labels == TEETH) & ~is_teeth, INSIDE, labels)
            write_png(
                fresh / f"{frame:06d}.png", np.where(is_teeth, TEETH, labels).astype(np.uint8)
            )
    except BaseException:
        shutil.rmtree(fresh)
        raise
    for file in sorted(fresh.iterdir()):
        file.replace(dataset / "regions" / file.name)
    fresh.rmdir()
    write_manifest(dataset, tracked.manifest)
    return tracked.manifest


def _files_by_frame(masks: Path, n_frames: int) -> dict[int, Path]:
    """The mask of every frame."""
    found = {
        int(match[1]): path
        for path in sorted(masks.iterdir())
        if (match := _NAME.fullmatch(path.name))
    }
    if missing := sorted(set(range(n_frames)) - found.keys()):
        raise InvalidInput(
            "bad_teeth_masks",
            f"{masks} has no mask of {len(missing)} of {n_frames} frames, the first is "
            f"{missing[0]}.png; there must be one per frame of the dataset",
        )
    if beyond := sorted(found.keys() - set(range(n_frames))):
        raise InvalidInput(
            "bad_teeth_masks",
            f"{masks} has a mask of frame {beyond[0]}, the dataset ends at {n_frames - 1}; "
            "segment the capture at 25 frames per second",
        )
    return found


def read_mask(file: Path, tracked: TrackedDataset, frame: int) -> NDArray[np.bool_]:
    """One frame's mask in its crop. [S, S]"""
    manifest = tracked.manifest
    mask = read_gray(file)
    if len(np.unique(mask)) > 2:  # noqa: PLR2004 - zero and teeth
        raise InvalidInput(
            "bad_teeth_masks", f"{file.name} has more than two values; a mask is black and white"
        )
    size = manifest.crop_size
    if mask.shape == (manifest.capture_height, manifest.capture_width) != (size, size):
        left, top, side = (float(value) for value in tracked.tracking["crops"][frame])
        scale = size / side
        # Pixel centres: crop pixel u + 0.5 lies at left + (u + 0.5) / scale in the capture.
        way = np.array([[scale, 0, -left * scale + (scale - 1) / 2],
                        [0, scale, -top * scale + (scale - 1) / 2]])  # fmt: skip
        mask = np.asarray(cv2.warpAffine(mask, way, (size, size), flags=cv2.INTER_NEAREST))
    if mask.shape != (size, size):
        raise InvalidInput(
            "bad_teeth_masks",
            f"{file.name} is {mask.shape[1]}x{mask.shape[0]}, expected {size}x{size} as the "
            f"dataset's frames, or {manifest.capture_width}x{manifest.capture_height} as the "
            "capture",
        )
    is_teeth = mask > 0
    if is_teeth.mean() > _MAX_SHARE:
        raise InvalidInput(
            "bad_teeth_masks",
            f"{file.name} calls {is_teeth.mean():.0%} of the picture teeth; white must be teeth",
        )
    return is_teeth
