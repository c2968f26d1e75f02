"""The few directions in which mouths move, measured by how far they move the lips."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.mouth import moves_lips

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_FLAT = 1e-3
"""Coefficients count this much of the lips' mean motion beside their effect on the lips."""


class MouthShapes(NamedTuple):
    """A few directions in which a mouth moves most."""

    shapes: Floats  # [K, P]
    activations: Floats  # [N, K] mean zero, lips' motion in metres
    measuring: Floats  # [P, K] coefficients about their mean times this are activations


def mouth_shapes(coefficients: F32, lip_effect: F32, n_shapes: int) -> MouthShapes:
    """Principal components of the coefficients, measured by how far they move the lips.

    Args:
        coefficients: Expression, jaw pose, eyes pose. [N, P]
        lip_effect: Metres per unit and lip landmark. [P, L, 3]
        n_shapes: Shapes to keep at most.
    """
    of_mouth = np.flatnonzero(moves_lips(lip_effect))
    values = coefficients[:, of_mouth].astype(np.float64)
    effect = lip_effect[of_mouth].reshape(len(of_mouth), -1).astype(np.float64)
    metric = effect @ effect.T
    metric += _FLAT * np.trace(metric) / len(metric) * np.eye(len(metric))
    root = np.linalg.cholesky(metric)  # |x @ root| is the length of x in the metric
    mean = values.mean(axis=0)
    left, scales, directions = np.linalg.svd((values - mean) @ root, full_matrices=False)
    n_kept = min(n_shapes, len(scales))
    shapes = np.zeros((n_kept, coefficients.shape[1]))
    shapes[:, of_mouth] = np.linalg.solve(root.T, directions[:n_kept].T).T
    measuring = np.zeros((coefficients.shape[1], n_kept))
    measuring[of_mouth] = root @ directions[:n_kept].T
    return MouthShapes(shapes, (left * scales)[:, :n_kept], measuring)
