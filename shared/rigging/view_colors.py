"""Colours that change with the direction of view, as GaussianAvatars' and 3D Gaussian Splatting's.

The harmonics stay where they are in the world when a triangle turns (GaussianAvatars).
"""

import math

import torch
from torch import Tensor

from shared.raster_kernels.spherical_harmonics import spherical_harmonics


def n_harmonics(degree: int) -> int:
    """Coefficients per channel beyond the first."""
    return (degree + 1) ** 2 - 1


def degree_of(harmonics: Tensor) -> int:
    """Degree that coefficients beyond the first reach. [N, K, 3]"""
    return math.isqrt(harmonics.shape[1] + 1) - 1


def camera_centre(viewmat: Tensor) -> Tensor:
    """Where a camera is in the world. [4, 4] -> [3] m"""
    return -viewmat[:3, :3].T @ viewmat[:3, 3]


def view_tint(
    means: Tensor,  # [N, 3] m, world
    centre: Tensor,  # [3] m
    harmonics: Tensor,  # [N, K, 3] coefficients of degree 1 and more
    degree: int,
) -> Tensor:
    """What the direction of view adds to the colours. [N, 3]"""
    coefficients = torch.cat([torch.zeros_like(harmonics[:, :1]), harmonics], 1)
    # The direction counts as given: 3D Gaussian Splatting lets its gradient move Gaussians, which
    # few views cannot hold.
    directions = (means - centre).detach()
    return spherical_harmonics(degree, directions, coefficients)


def degree_at(step: int, n_steps: int, degree: int) -> int:
    """Degrees come one after the other, a tenth of the training apart. -> 0 to ``degree``"""
    return min(degree, 10 * step // max(n_steps, 1))
