"""Which frames to trust, and where the square crop lies.

The crop is decided on the training frames alone. It stands still unless the head travels out of
it; then it follows smoothly, filtered on each side of the split by itself (measures.md, Splits).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from shared.contracts.tracked_dataset import FPS, RejectedFrame
from shared.landmarks import CHIN, FACE_OVAL, FOREHEAD_TOP, RIGID, inter_ocular

F32 = NDArray[np.float32]

MAX_CROP_PX = 512
"""Larger crops are reduced to this side."""
REPEAT = "repeat"
"""Reason of a frame that repeats another's picture: the capture has fewer than 25 a second."""
MAX_LATE_S = 0.1
"""A picture further from its time is a gap in the capture."""
_SIDE_IN_FACES = 3.1  # 2.2 head heights; a head is 1.4 times chin to forehead
_FACE_CENTRE_HEIGHT = 0.45  # of the crop, leaving room for the shoulders
_MAX_ROOM = 0.4  # of the crop's side
_WHOLE_FRAME_SHARE = 0.9  # a crop nearly as large as the frame becomes the frame
_HEAD_BOX = (0.8, 1.0)  # half width and half height of the head, in face heights
_MAX_JUMP = 0.15  # inter-ocular distances off the way; people stay below 0.06
_MAX_OUTSIDE = 0.2  # share of the face's outline beyond the picture
_FOLLOW_S = 0.5


class Crops(NamedTuple):
    """The square crop of each frame."""

    boxes: F32  # [T, 3] left, top, side in capture pixels, whole numbers
    size: int
    """Side in pixels of the stored frames; even."""
    is_moving: bool


def reject_frames(
    landmarks: F32, late_s: F32, capture_size: tuple[int, int]
) -> list[RejectedFrame]:
    """Name the frames that cannot be used, and why.

    Args:
        landmarks: Capture pixels, NaN where no face was found. [T, 478, 3]
        late_s: How far each picture is from its time. [T]
        capture_size: Width and height in pixels.
    """
    outline = landmarks[:, FACE_OVAL, :2]
    is_outside = (outline < 0) | (outline > np.array(capture_size, dtype=np.float32))
    outside = is_outside.any(axis=-1).mean(axis=-1)  # [T]; comparisons with NaN are false
    jumps = _jumps(landmarks)
    original = _originals(late_s)
    rejected: list[RejectedFrame] = []
    for frame in range(len(landmarks)):
        reason = ""
        if abs(late_s[frame]) > MAX_LATE_S:
            reason = f"gap: the nearest picture is {late_s[frame]:+.2f} s away"
        elif original[frame] != frame:
            reason = f"{REPEAT}: shows the picture of frame {original[frame]}, its own is missing"
        elif np.isnan(landmarks[frame, 0, 0]):
            reason = "no_face: no face found"
        elif outside[frame] > _MAX_OUTSIDE:
            reason = f"face_outside: {outside[frame]:.0%} of the face's outline is out of view"
        elif jumps[frame] > _MAX_JUMP:
            reason = f"face_jump: the face is {jumps[frame]:.2f} eye distances off its way"
        if reason:
            rejected.append(RejectedFrame(frame=frame, reason=reason))
    return rejected


def fill_gaps(landmarks: F32, is_valid: NDArray[np.bool_], n_train: int) -> F32:
    """Replace the landmarks of rejected frames by those between their valid neighbours.

    The two sides of the split are filled apart, from each other only where one has nothing.
    """
    filled = landmarks.copy()
    for start, end in ((0, n_train), (n_train, len(landmarks))):
        valid = np.flatnonzero(is_valid[start:end]) + start
        known = valid if valid.size else np.flatnonzero(is_valid)
        for frame in range(start, end):
            if not is_valid[frame]:
                after = int(np.searchsorted(known, frame))
                low, high = known[max(after - 1, 0)], known[min(after, known.size - 1)]
                share = (frame - low) / (high - low) if high > low else 0.0
                share = min(max(share, 0.0), 1.0)
                filled[frame] = (1 - share) * landmarks[low] + share * landmarks[high]
    return filled


def choose_crops(
    landmarks: F32, n_train: int, capture_size: tuple[int, int], scale: float
) -> Crops:
    """Place a square crop around head and shoulders.

    Args:
        landmarks: Capture pixels, without gaps. [T, 478, 3]
        n_train: The first frames, on which the crop is decided.
        capture_size: Width and height in pixels.
        scale: Widens the crop.
    """
    centres = landmarks[:, FACE_OVAL, :2].mean(axis=1)  # [T, 2]
    height = float(np.median(face_heights(landmarks[:n_train])))
    shortest = min(capture_size)
    side = min(_SIDE_IN_FACES * height * scale, shortest)
    if side > _WHOLE_FRAME_SHARE * shortest:
        side = shortest
    side = int(side) // 2 * 2
    # Where the frame leaves no room for shoulders the hair has precedence.
    above = min(max(_FACE_CENTRE_HEIGHT * side, _HEAD_BOX[1] * height), side / 2)
    offset = np.array([side / 2, above])
    last = np.array(capture_size) - side
    training = centres[:n_train]
    middle = (training.min(axis=0) + training.max(axis=0)) / 2
    still = np.clip(np.rint(middle - offset), 0, last)
    # A head larger than the crop cannot be kept inside; its middle can.
    room = np.minimum(np.array(_HEAD_BOX) * height, _MAX_ROOM * side)
    low, high = training - room, training + room
    # Past the frame's own edge no crop can help.
    is_inside = ((low >= still) | (still <= 0)) & ((high <= still + side) | (still >= last))
    corners = np.broadcast_to(still, centres.shape)
    is_moving = not bool(is_inside.all())
    if is_moving:
        parts = [_follow(centres[:n_train]), _follow(centres[n_train:])]
        corners = np.clip(np.rint(np.concatenate(parts) - offset), 0, last)
    boxes = np.concatenate([corners, np.full((len(centres), 1), side)], axis=1)
    return Crops(boxes.astype(np.float32), min(side, MAX_CROP_PX), is_moving)


def to_crop(landmarks: F32, crops: Crops) -> F32:
    """Landmarks from capture pixels to crop pixels; z takes the same scale. [T, 478, 3]"""
    corner = np.pad(crops.boxes[:, :2], ((0, 0), (0, 1)))  # [T, 3]
    factor = crops.size / crops.boxes[:, 2]
    return np.asarray((landmarks - corner[:, None]) * factor[:, None, None], dtype=np.float32)


def face_heights(landmarks: F32) -> F32:
    """Chin to top of the forehead, pixels. [T, 478, 3] -> [T]"""
    axis = landmarks[:, CHIN, :2] - landmarks[:, FOREHEAD_TOP, :2]
    return np.asarray(np.linalg.norm(axis, axis=-1), dtype=np.float32)


def _originals(late_s: F32) -> NDArray[np.int64]:
    """Of the frames that show one picture, the one that it belongs to by its time. [T]"""
    frames = np.arange(len(late_s))
    shown_s = np.round(frames / FPS + late_s, 3)
    _, picture = np.unique(shown_s, return_inverse=True)
    originals = frames.copy()
    for number in np.flatnonzero(np.bincount(picture, minlength=1) > 1):
        group = frames[picture == number]
        originals[group] = group[np.abs(late_s[group]).argmin()]
    return originals


def _jumps(landmarks: F32) -> F32:
    """Distance of each face from the middle of its neighbours, in eye distances. [T]

    The lesser of the distances to the middle and to either neighbour counts, so that a fast
    movement, which stays near the next frame, is not a jump. Unknown is 0.
    """
    rigid = landmarks[:, RIGID, :2]
    jumps = np.zeros(len(landmarks), dtype=np.float32)
    before, here, after = rigid[:-2], rigid[1:-1], rigid[2:]
    candidates = [(before + after) / 2, before, after]
    distances = [np.linalg.norm(here - other, axis=-1).mean(axis=-1) for other in candidates]
    jumps[1:-1] = np.min(distances, axis=0) / np.maximum(inter_ocular(landmarks[1:-1]), 1.0)
    return np.nan_to_num(jumps)


def _follow(centres: F32) -> F32:
    if not len(centres):
        return centres
    return np.asarray(gaussian_filter1d(centres, _FOLLOW_S * FPS, axis=0, mode="nearest"))
