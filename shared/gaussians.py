"""What a rasterizer draws: 3D Gaussians, or 2D ones (surfels)."""

from typing import NamedTuple

from torch import Tensor


class Gaussians(NamedTuple):
    """Posed 3D Gaussians in world space, activated values (no logits, no log-scales)."""

    means: Tensor  # [N, 3] m
    quats: Tensor  # [N, 4] wxyz, any length above 0
    scales: Tensor  # [N, 3] m, standard deviations, > 0
    opacities: Tensor  # [N] in (0, 1)
    colors: Tensor  # [N, C] any channels; RGB in [0, 1] first where colour is meant


class Surfels(NamedTuple):
    """Posed 2D Gaussians in world space: flat discs (2DGS, Huang et al. 2024), activated values.

    The rotation's first two columns are the axes of the disc, its third the normal. A method may
    return either kind; ``shared/rasterizer.py`` says how each is drawn.
    """

    means: Tensor  # [N, 3] m
    quats: Tensor  # [N, 4] wxyz, any length above 0
    scales: Tensor  # [N, 2] m, standard deviations along the two axes, > 0
    opacities: Tensor  # [N] in (0, 1)
    colors: Tensor  # [N, C] any channels; RGB in [0, 1] first where colour is meant
