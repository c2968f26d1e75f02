"""How the torso moved in the training frames, by dense optical flow to one of them."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import medfilt, savgol_filter
from torch import Tensor

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MIN_POINTS = 60
MAX_POINTS = 4000
FLOW_SIZE = 384
"""Longest side that flow is computed at, px."""
SMOOTHING_FRAMES = 9
RANSAC_PX = 1.0


class TorsoView(NamedTuple):
    """Where the torso is in the picture, and at what distance."""

    pivot: Tensor  # [2] its centre, px
    metres_per_px: float


def track_torso(
    read_gray: Callable[[int], U8],
    torso: NDArray[np.bool_],
    n_frames: int,
    reference: int,
    view: TorsoView,
) -> Tensor:
    """Torso motion of each frame against ``reference``.

    A similarity is fitted to the flow of the torso's textured pixels by RANSAC; its turn and the
    shift of the torso's centre are smoothed. Its scale is left out: it is noisier than the sway
    towards the camera that it would tell.

    Args:
        read_gray: Gives a frame's luminance. [S, S]
        torso: Pixels of the torso in the reference frame. [S, S]
        n_frames: Number of frames T.
        reference: The frame that the others are compared with.
        view: For the change from pixels to metres.

    Returns:
        Axis-angle and shift in world axes. [T, 6]
    """
    first = read_gray(reference)
    scale = min(1.0, FLOW_SIZE / first.shape[0])
    points = _textured_points(first, torso) * scale
    motion = np.zeros((n_frames, 6), np.float32)
    if len(points) < MIN_POINTS:
        return torch.from_numpy(motion)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    small = _shrink(first, scale)
    pivot = view.pivot.numpy() * scale
    seen = np.zeros((n_frames, 3))
    for frame in range(n_frames):
        field = flow.calc(small, _shrink(read_gray(frame), scale), None)
        at = points.astype(np.int64)
        # OpenCV draws RANSAC samples from a generator that it seeds anew at every call.
        fit, _ = cv2.estimateAffinePartial2D(
            points, points + field[at[:, 1], at[:, 0]], ransacReprojThreshold=RANSAC_PX
        )
        if fit is None:
            seen[frame] = seen[frame - 1] if frame else 0
            continue
        shift = (fit @ np.append(pivot, 1) - pivot) / scale
        seen[frame] = (*shift, np.arctan2(fit[1, 0], fit[0, 0]))
    seen = _smooth(seen)
    motion[:, 2] = -seen[:, 2]  # the picture's y points down
    motion[:, 3] = seen[:, 0] * view.metres_per_px
    motion[:, 4] = -seen[:, 1] * view.metres_per_px
    return torch.from_numpy(motion)


def _textured_points(gray: U8, torso: NDArray[np.bool_]) -> F32:
    """The torso's pixels with the strongest gradients, thinned evenly. [M, 2]"""
    strength = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    if not torso.any():
        return np.zeros((0, 2), np.float32)
    rows, columns = np.nonzero(torso & (strength > np.percentile(strength[torso], 60)))
    step = max(1, len(rows) // MAX_POINTS)
    return np.stack([columns, rows], 1)[::step].astype(np.float32)


def _shrink(gray: U8, scale: float) -> U8:
    if scale == 1.0:
        return gray
    small: U8 = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove single failures, then noise. [T, 3]"""
    if len(values) < SMOOTHING_FRAMES:
        return values
    clean = np.stack([medfilt(column, 5) for column in values.T], 1)
    # medfilt pads with zeros, so the ends keep their own values.
    clean[:2], clean[-2:] = values[:2], values[-2:]
    smooth: NDArray[np.float64] = savgol_filter(clean, SMOOTHING_FRAMES, 2, axis=0)
    return smooth
