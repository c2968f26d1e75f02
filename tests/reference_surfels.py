"""The surfels' definition in plain torch: slow, differentiable, no tiles.

Written from 2DGS (Huang et al. 2024) and gsplat's conventions (see ``shared/rasterizer.py``);
rays meet planes in camera space, unlike in the kernels. Every pixel looks at every surfel.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.gaussians import Surfels
from shared.rasterizer import RenderedSurfels
from tests.reference_rasterizer import rotation_matrices

NEAR = 0.01


class Discs(NamedTuple):
    """Surfels in camera space."""

    centres: Tensor  # [N, 3]
    axes: Tensor  # [N, 3, 2] of unit length
    normals: Tensor  # [N, 3]
    middles: Tensor  # [N, 2] px, where the low-pass is centred
    is_drawn: Tensor  # [N]


def rasterize_surfels(
    surfels: Surfels,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> RenderedSurfels:
    """Draw as the contract says, in the precision of the input."""
    discs = to_camera(surfels, viewmat, K)
    dtype = viewmat.dtype
    columns, rows = torch.arange(width, dtype=dtype) + 0.5, torch.arange(height, dtype=dtype) + 0.5
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # [H, W, 2]
    slopes = (pixels - K[:2, 2]) / torch.stack([K[0, 0], K[1, 1]])
    rays = torch.cat([slopes, torch.ones_like(slopes[..., :1])], -1)  # [H, W, 3]
    transmittance = torch.ones(height, width, dtype=dtype)
    is_open = torch.ones(height, width, dtype=torch.bool)
    nothing = torch.zeros(height, width, dtype=dtype)
    median = nothing
    weights, depths, drawn = [nothing], [torch.zeros((), dtype=dtype)], []
    for i in discs.centres[:, 2].detach().argsort(stable=True).tolist():
        if not discs.is_drawn[i]:
            continue
        rho = squared_distance(discs, surfels.scales, i, rays)
        offset = pixels - discs.middles[i]
        rho = torch.minimum(rho, 2 * offset.square().sum(-1))
        alpha = (surfels.opacities[i] * torch.exp(-rho / 2)).clamp(max=0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, nothing)
        after = transmittance * (1 - alpha)
        is_open = is_open & (after > 1e-4)
        weight = torch.where(is_open, alpha * transmittance, nothing)
        depth = discs.centres[i, 2]
        median = torch.where((weight > 0) & (transmittance > 0.5), depth, median)
        transmittance = torch.where(is_open, after, transmittance)
        weights.append(weight)
        depths.append(depth)
        drawn.append(i)
    towards = torch.where((discs.normals * discs.centres).sum(-1) < 0, 1.0, -1.0).to(dtype)
    normals = (towards[:, None] * discs.normals) @ viewmat[:3, :3]  # back to world space
    stacked = torch.stack(weights, -1)  # [H, W, 1 + M]
    z = torch.stack(depths)
    image = stacked[..., 1:] @ surfels.colors[drawn]
    if background is not None:
        image = image + transmittance[..., None] * background
    apart = (z[:, None] - z).abs()
    return RenderedSurfels(
        image,
        1 - transmittance,
        stacked @ z,
        stacked[..., 1:] @ normals[drawn],
        ((stacked @ apart) * stacked).sum(-1),
        median,
    )


def to_camera(surfels: Surfels, viewmat: Tensor, K: Tensor) -> Discs:
    """Centres, axes and the box around the projected disc of one standard deviation."""
    rotation = viewmat[:3, :3]
    centres = surfels.means @ rotation.T + viewmat[:3, 3]
    matrices = rotation @ rotation_matrices(surfels.quats)  # [N, 3, 3]
    spans = matrices[..., :2] * surfels.scales[:, None]  # [N, 3, 2]
    z = centres[:, 2]
    # A point of the disc's rim is centre + spans (cos t, sin t); the extremes of x/z and y/z
    # over t are the roots of a quadratic, and their mean is this (2DGS, appendix).
    sag = spans[:, 2].square().sum(-1)
    span = z.square() - sag
    middles = (centres[:, :2] * z[:, None] - (spans[:, :2] * spans[:, 2:]).sum(-1)) / span[:, None]
    middles = middles * torch.stack([K[0, 0], K[1, 1]]) + K[:2, 2]
    reach = (2 * torch.log(255 * surfels.opacities)).clamp(min=0)
    nearest = z - (reach.clamp(min=1) * sag).sqrt()
    is_drawn = (reach > 0) & (z > NEAR) & (nearest > NEAR)
    return Discs(centres, matrices[..., :2], matrices[..., 2], middles, is_drawn)


def squared_distance(discs: Discs, scales: Tensor, i: int, rays: Tensor) -> Tensor:
    """u^2 + v^2 where rays meet the plane of surfel ``i``; infinite where they do not. [H, W]"""
    facing = rays @ discs.normals[i]
    is_met = facing.abs() > 1e-12
    along = (discs.normals[i] @ discs.centres[i]) / torch.where(is_met, facing, 1.0)
    hits = along[..., None] * rays - discs.centres[i]  # [H, W, 3]
    rho = ((hits @ discs.axes[i]) / scales[i]).square().sum(-1)
    return torch.where(is_met & (along > 0), rho, torch.inf)
