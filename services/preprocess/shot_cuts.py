"""Finds cuts between shots, and tells them from fast motion and flashes.

A cut changes the whole picture between two frames and for good, while the frames before and
after it hardly change; motion changes several neighbours alike, a flash goes back.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MIN_CHANGE = 0.06
"""Mean absolute difference (0 to 1) of two frames that may be a cut."""
ISOLATION = 4.0
"""A cut's change over the typical change around it."""
_REACH = 8  # frames looked at on each side
_FLASH = 3  # frames after which a flash has gone


def find_cuts(thumbnails: U8) -> list[int]:
    """Numbers of the frames that begin a new shot.

    Args:
        thumbnails: Small RGB pictures of consecutive frames. [T, h, w, 3]
    """
    change = frame_changes(thumbnails)  # [T]
    cuts: list[int] = []
    for frame in np.flatnonzero(change > MIN_CHANGE):
        around = np.r_[
            change[max(frame - _REACH, 1) : frame], change[frame + 1 : frame + 1 + _REACH]
        ]
        typical = float(np.median(around)) if around.size else 0.0
        strongest_beside = change[max(frame - 1, 0) : frame + 2].max()
        is_isolated = change[frame] > ISOLATION * typical and change[frame] == strongest_beside
        if is_isolated and not _is_flash(thumbnails, int(frame), float(change[frame])):
            cuts.append(int(frame))
    return cuts


def frame_changes(thumbnails: U8) -> F32:
    """Mean absolute difference of each frame to the one before, best of small shifts. [T]

    Shifts of up to four pixels of 64 make up for a moving camera.
    """
    n_frames = len(thumbnails)
    changes = np.zeros(n_frames, dtype=np.float32)
    for frame in range(1, n_frames):
        changes[frame] = _difference(thumbnails[frame - 1], thumbnails[frame])
    return changes


def _is_flash(thumbnails: U8, frame: int, change: float) -> bool:
    """Whether the picture comes back: some frame soon after is like one shortly before."""
    before = thumbnails[max(frame - _FLASH, 0) : frame]
    after = thumbnails[frame : frame + _FLASH + 1]
    return any(_difference(a, b) < change / 3 for a in before for b in after)


def _difference(before: U8, after: U8) -> float:
    margin = 4
    patch = after[margin:-margin, margin:-margin]
    errors = [
        cv2.norm(before[y : y + patch.shape[0], x : x + patch.shape[1]], patch, cv2.NORM_L1)
        for y in range(0, 2 * margin + 1, 2)
        for x in range(0, 2 * margin + 1, 2)
    ]
    return float(min(errors)) / (patch.size * 255.0)
