"""Cuts the face out of frames, at one place and size for a whole strip."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class Square(NamedTuple):
    """A square of a frame, in pixels."""

    left: float
    top: float
    side: float


def face_square(landmarks: F32, margin: float) -> Square | None:
    """The square about a face that is found in some frames, held still over all of them.

    Args:
        landmarks: NaN where no face was found. [T, 478, 3] px
        margin: Side of the square over the larger side of the face's box.

    Returns:
        None when no frame has a face.
    """
    points = landmarks[..., :2]
    found = points[np.isfinite(points).all(axis=(1, 2))]
    if not len(found):
        return None
    low, high = np.median(found.min(axis=1), axis=0), np.median(found.max(axis=1), axis=0)
    side = margin * float((high - low).max())
    middle = (low + high) / 2
    return Square(float(middle[0]) - side / 2, float(middle[1]) - side / 2, side)


def mid_square(width: int, height: int) -> Square:
    """The largest square in the middle of a frame."""
    side = min(width, height)
    return Square((width - side) / 2, (height - side) / 2, side)


def cut_square(frame: U8, square: Square, size: int) -> U8:
    """Cut and resample; what lies outside of the frame is black. -> [size, size, 3]"""
    side = max(1, round(square.side))
    left, top = round(square.left), round(square.top)
    inside = frame[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    if inside.shape[:2] != (side, side):
        cut = np.zeros((side, side, 3), np.uint8)
        if inside.size:
            rows, columns = inside.shape[:2]
            cut[max(-top, 0) :, max(-left, 0) :][:rows, :columns] = inside
        inside = cut
    method = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(inside, (size, size), interpolation=method), dtype=np.uint8)
