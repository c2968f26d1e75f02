"""Smoothing of tracked numbers over time, with weights, never across a split."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Floats = NDArray[np.float64]


def smooth_series(values: Floats, trust: Floats, stiffness: float) -> Floats:
    """Whittaker smoother: near the values where trusted, small second differences everywhere.

    Args:
        values: Numbers over time. [T, C]
        trust: Weight of each frame's own value, 0 for a frame that was not measured. [T]
        stiffness: Weight of the squared second difference. A wave of period p frames keeps
            1 / (1 + stiffness (2 pi / p)^4) of its height, so 1 halves a period of 6 frames
            and leaves 96 % of one of 14.
    """
    n_frames = len(values)
    if n_frames < 3 or not trust.any():  # noqa: PLR2004 - no second difference
        return values.copy()
    # A little trust everywhere keeps the system regular where a gap opens a segment.
    weight = np.maximum(trust, 1e-9)
    bands = np.zeros((3, n_frames))
    for offset, coefficient in enumerate((1.0, -2.0, 1.0)):
        bands[2, offset : n_frames - 2 + offset] += coefficient**2
    bands[1, 1 : n_frames - 1] += -2.0
    bands[1, 2:n_frames] += -2.0
    bands[0, 2:] += 1.0
    bands *= stiffness
    bands[2] += weight
    known = np.where(trust[:, None] > 0, values, 0.0)
    filled = solveh_banded(bands, known * weight[:, None])
    result: Floats = filled
    return result


def smooth_parts(values: Floats, trust: Floats, stiffness: float, n_train: int) -> Floats:
    """``smooth_series`` on the training frames and on the held-out frames, each for itself."""
    return np.concatenate(
        [
            smooth_series(values[part], trust[part], stiffness)
            for part in (slice(0, n_train), slice(n_train, len(values)))
        ]
    )


def smooth_informed(values: Floats, information: Floats, sway: Floats) -> Floats:
    """Most likely course of measured vectors whose directions are known unequally well.

    What the measurement knows is kept; what it hardly knows follows its neighbours in time.

    Args:
        values: Measured vectors. [T, C]
        information: Inverse covariance of each; zero for a frame that was not measured. [T, C, C]
        sway: Spread of the true second differences. [C]
    """
    n_frames, size = values.shape
    if n_frames < 3:  # noqa: PLR2004 - no second difference
        return values.copy()
    bands = np.zeros((2 * size + 1, n_frames * size))  # upper form of solveh_banded
    for row in range(size):
        for column in range(row, size):
            bands[2 * size - (column - row), column::size] = information[:, row, column]
    stiffness = np.tile(1 / np.square(sway), (n_frames, 1))
    diagonal = np.zeros((n_frames, size))
    for offset, coefficient in enumerate((1.0, 4.0, 1.0)):
        diagonal[offset : n_frames - 2 + offset] += coefficient * stiffness[2:]
    beside = np.zeros((n_frames, size))
    beside[1 : n_frames - 1] -= 2 * stiffness[2:]
    beside[2:] -= 2 * stiffness[2:]
    bands[2 * size] += diagonal.ravel()
    bands[size] += beside.ravel()
    bands[0, 2 * size :] += stiffness[2:].ravel()
    # The faintest pull to the measurement keeps the system regular without any measurement.
    bands[2 * size] += 1e-9 * stiffness.ravel()
    known = np.einsum("tij,tj->ti", information, values) + 1e-9 * stiffness * values
    smooth: Floats = solveh_banded(bands, known.ravel()).reshape(n_frames, size)
    return smooth
