"""What surfels cost that do not make a surface (2DGS, Huang et al. 2024, sections 4.2 and 5)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from shared.rasterizer import RenderedSurfels
from shared.training_schedule import SurfaceWeights

MIN_ALPHA = 1e-3
"""Where less is covered there is no depth."""


def surface_loss(
    drawn: RenderedSurfels, weights: SurfaceWeights, done: float, viewmat: Tensor, K: Tensor
) -> Tensor:
    """Both terms, as far as they have begun.

    Args:
        drawn: One frame.
        weights: And when they begin.
        done: Share of the training that is done.
        viewmat: World to camera. [4, 4]
        K: Intrinsics of the picture. [3, 3]
    """
    loss = torch.zeros(())
    if weights.distortion and done >= weights.distortion_from:
        loss = loss + weights.distortion * drawn.distortion.mean()
    if weights.normals and done >= weights.normals_from:
        made = surface_normals(drawn, viewmat, K)
        # Over what is covered: 1 - n N summed with the surfels' weights, of which alpha is the sum.
        # What the depths say of the surface pulls, how much is covered does not.
        agreement = (drawn.normals * made).sum(-1)
        loss = loss + weights.normals * (drawn.alpha.detach() - agreement).mean()
    return loss


def surface_normals(drawn: RenderedSurfels, viewmat: Tensor, K: Tensor) -> Tensor:
    """Normals of the surface of mean depth, from central differences, in world space. [H, W, 3]

    They are turned to the camera and zero along the border and where nothing is.
    """
    height, width = drawn.alpha.shape
    depth = drawn.depth / drawn.alpha.clamp_min(MIN_ALPHA)
    x = (torch.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    y = (torch.arange(height) + 0.5 - K[1, 2]) / K[1, 1]
    rays = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)
    points = torch.cat([rays * depth[..., None], depth[..., None]], -1)
    right = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    # x points right, y down, z away: this order looks back at the camera.
    inner = normalize(torch.linalg.cross(down, right), dim=-1)
    covered = (drawn.alpha.detach() > MIN_ALPHA)[1:-1, 1:-1, None]
    return pad(inner * covered, (0, 0, 1, 1, 1, 1)) @ viewmat[:3, :3]
