"""Counts what goes wrong with lips on a mesh: crossed pairs, and openings not asked for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.landmarks import EYE_CORNERS, INNER_LIP_PAIRS, is_lip_crossed

F32 = NDArray[np.float32]


class LipArtefacts(NamedTuple):
    """Of T frames."""

    opening_error: float
    """Mean difference of the mouth's opening, in distances between the eyes."""
    crossed_frames: int
    """Frames where an upper lip lies below its lower partner: the mesh cuts itself."""
    crossed_pairs: int
    """Such pairs, all frames together."""


def lip_artefacts(points: F32, wanted: F32) -> LipArtefacts:
    """Compare landmarks on a driven face with the driver's.

    Args:
        points: On the driven face, head still. [T, 478, 3] m
        wanted: On the driver's; openings are compared in each face's own size. [T, 478, 3] m
    """
    error = np.abs(_opening(points) - _opening(wanted)).mean()
    upper, lower = np.array(INNER_LIP_PAIRS).T
    gaps = points[:, upper, 1] - points[:, lower, 1]  # y is up
    limit = -0.01 * _eyes_apart(points)[:, None]
    return LipArtefacts(float(error), int(is_lip_crossed(points).sum()), int((gaps < limit).sum()))


def _opening(points: F32) -> F32:
    upper, lower = INNER_LIP_PAIRS[4]
    return np.asarray((points[:, upper, 1] - points[:, lower, 1]) / _eyes_apart(points))


def _eyes_apart(points: F32) -> F32:
    return np.asarray(np.linalg.norm(points[:, EYE_CORNERS[0]] - points[:, EYE_CORNERS[3]], axis=1))
