"""Cuts the face out of frames, at one place and size for a whole strip."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    left, top = round(square.left), round(square.top)
    side = max(1, round(square.side))
    cut = Image.fromarray(frame).crop((left, top, left + side, top + side))
    return np.asarray(cut.resize((size, size), Image.Resampling.LANCZOS))
