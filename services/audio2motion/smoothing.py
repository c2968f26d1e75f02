"""Smooths tracks in time, equally for every frame rate."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

F32 = NDArray[np.float32]


def smooth(track: F32, fps: int, sigma_s: float) -> F32:
    """Zero-phase Gaussian smoothing.

    Args:
        track: Values per frame. [T, ...]
        fps: Frames per second.
        sigma_s: Standard deviation in seconds; a lip closure lasts about 0.1 s.

    Returns:
        Same shape; a constant stays what it is. [T, ...]
    """
    smoothed = gaussian_filter1d(
        track.astype(np.float64), sigma_s * fps, axis=0, mode="nearest", truncate=3.0
    )
    return np.asarray(smoothed, dtype=np.float32)
