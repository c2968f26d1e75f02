"""The Gaussians that a rasterizer draws."""

from typing import NamedTuple

from torch import Tensor


class Gaussians(NamedTuple):
    """Posed 3D Gaussians in world space, activated values (no logits, no log-scales)."""

    means: Tensor  # [N, 3] m
    quats: Tensor  # [N, 4] wxyz, any length above 0
    scales: Tensor  # [N, 3] m, standard deviations, > 0
    opacities: Tensor  # [N] in (0, 1)
    colors: Tensor  # [N, C] any channels; RGB in [0, 1] first where colour is meant
