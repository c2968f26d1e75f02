"""Gaussians in the PLY layout of 3D Gaussian Splatting, which splat viewers open.

Source: Kerbl et al. 2023 and its reference code: harmonics channel by channel, logarithms of
scales, logits of opacities, quaternions wxyz. All 45 coefficients above the mean colour are always
there, since some viewers expect them.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.embedded.exchange.ply_file import write_points
from shared.gaussians import Gaussians

DC = 0.28209479177387814
"""The first spherical harmonic: colour = 0.5 + DC * coefficient."""
N_REST = 15
"""Coefficients per channel up to degree 3, without the first."""
EDGE = 1e-6
"""Opacities are kept this far from 0 and 1."""


def write_splats(path: Path, gaussians: Gaussians) -> None:
    """Write posed Gaussians, of one colour from all sides."""
    opacities = gaussians.opacities.clamp(EDGE, 1 - EDGE)
    write_points(
        path,
        splat_columns(
            gaussians.means,
            gaussians.colors[:, :3],
            logits=opacities.logit(),
            log_scales=gaussians.scales.log(),
            quats=torch.nn.functional.normalize(gaussians.quats, dim=1),
        ),
    )


def splat_columns(
    means: Tensor,  # [N, 3]
    colors: Tensor,  # [N, 3] in [0, 1]
    *,
    logits: Tensor,  # [N]
    log_scales: Tensor,  # [N, 3]
    quats: Tensor,  # [N, 4]
    harmonics: Tensor | None = None,  # [N, K, 3]
) -> dict[str, NDArray[np.generic]]:
    """The columns in their order. float32 [N] each"""
    n = len(means)
    rest = torch.zeros(n, N_REST, 3)
    if harmonics is not None:
        rest[:, : harmonics.shape[1]] = harmonics
    blocks = {
        ("x", "y", "z"): means,
        ("nx", "ny", "nz"): torch.zeros(n, 3),
        _numbered("f_dc", 3): (colors - 0.5) / DC,
        _numbered("f_rest", 3 * N_REST): rest.transpose(1, 2).reshape(n, -1),
        ("opacity",): logits[:, None],
        _numbered("scale", 3): log_scales,
        _numbered("rot", 4): quats,
    }
    return {
        name: values[:, place].detach().numpy().astype(np.float32)
        for names, values in blocks.items()
        for place, name in enumerate(names)
    }


def _numbered(name: str, n: int) -> tuple[str, ...]:
    return tuple(f"{name}_{place}" for place in range(n))
