"""Joins faces of single frames to tracks, and cuts them out as SyncNet was trained with.

The crop pipeline of joonson/syncnet_python (``run_pipeline.py``), every number of it. One
departure: pictures are not written as JPEG and XVID in between, which that code does twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import medfilt

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

MIN_OVERLAP = 0.5
MAX_GAP = 25
MIN_DETECTIONS = 100
"""A track must have more."""
MIN_FACE_PX = 100.0
CROP_SCALE = 0.40
_SMOOTH = 13
_GRAY = 110


class FaceTrack(NamedTuple):
    """One face over consecutive frames."""

    first: int
    boxes: F64  # [N, 4] left, top, right, bottom in pixels of frames first to first + N - 1


class Place(NamedTuple):
    """Where to cut, smoothed over frames, in pixels."""

    x: F64  # [N]
    y: F64  # [N]
    half: F64  # [N]


def link_faces(faces: Sequence[Sequence[F64]], shots: Sequence[range]) -> list[FaceTrack]:
    """Tracks that are long and large enough.

    Args:
        faces: Boxes [4] found in each frame, the surest first.
        shots: Frames between two cuts; no track crosses one.
    """
    tracks = []
    for shot in shots:
        if len(shot) < MIN_DETECTIONS:
            continue
        left = {frame: list(faces[frame]) for frame in shot}
        while track := _next_track(left):
            if len(track) > MIN_DETECTIONS and (found := _fill_gaps(track)) is not None:
                tracks.append(found)
    return tracks


def smooth_places(track: FaceTrack) -> Place:
    """Centre and half the larger side of each box, median filtered over 13 frames."""
    left, top, right, bottom = track.boxes.T
    half = np.maximum(bottom - top, right - left) / 2
    parts = ((left + right) / 2, (top + bottom) / 2, half)
    x, y, half = (medfilt(values, kernel_size=_SMOOTH) for values in parts)
    return Place(x, y, half)


def cut_face(frame: U8, x: float, y: float, half: float, size: int) -> U8:
    """The face with some chin below, as SyncNet wants it. [H, W, 3] -> [size, size, 3]"""
    margin = int(half * (1 + 2 * CROP_SCALE))
    padded = np.pad(frame, ((margin, margin), (margin, margin), (0, 0)), constant_values=_GRAY)
    x, y = x + margin, y + margin
    reach = half * (1 + CROP_SCALE)
    rows = slice(int(y - half), int(y + half * (1 + 2 * CROP_SCALE)))
    columns = slice(int(x - reach), int(x + reach))
    return np.asarray(cv2.resize(padded[rows, columns], (size, size)), dtype=np.uint8)


def overlap(a: F64, b: F64) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    areas = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return shared / max(areas - shared, 1e-12)


def _next_track(left: dict[int, list[F64]]) -> list[tuple[int, F64]]:
    """Take the first face that is left, and those that follow it, out of ``left``."""
    track: list[tuple[int, F64]] = []
    for frame, boxes in left.items():
        if track and frame - track[-1][0] > MAX_GAP:
            break
        fits = (
            n
            for n, box in enumerate(boxes)
            if not track or overlap(box, track[-1][1]) > MIN_OVERLAP
        )
        if (index := next(fits, None)) is not None:
            track.append((frame, boxes.pop(index)))
    return track


def _fill_gaps(track: list[tuple[int, F64]]) -> FaceTrack | None:
    """Boxes of all frames from the first to the last; None where the face is too small."""
    frames = np.array([frame for frame, _ in track])
    found = np.stack([box for _, box in track])
    every = np.arange(frames[0], frames[-1] + 1)
    boxes = np.stack([np.interp(every, frames, side) for side in found.T], axis=1)
    sides = (boxes[:, 2:] - boxes[:, :2]).mean(axis=0)
    return FaceTrack(int(frames[0]), boxes) if sides.max() > MIN_FACE_PX else None
