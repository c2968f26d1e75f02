"""The rasterizer's definition in plain float64 torch: slow, differentiable, no tiles.

Written from gsplat's conventions (see ``shared/rasterizer.py``); every pixel looks at every
Gaussian, so use small scenes.
"""

import torch
from torch import Tensor

from shared.gaussians import Gaussians
from shared.rasterizer import Rendered

LOW_PASS = 0.3
NEAR = 0.01


def rasterize(
    gaussians: Gaussians,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> Rendered:
    """Draw as the contract says, in the precision of the input."""
    means2d, conics, depths = project(gaussians, viewmat, K, width, height)
    return blend(
        means2d, conics, gaussians.opacities, gaussians.colors, depths, width, height, background
    )


def project(
    gaussians: Gaussians,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Centres [N, 2], inverse covariances [N, 2, 2] and depths [N] in the image plane."""
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    x, y, z = (gaussians.means @ rotation.T + translation).unbind(-1)
    safe_z = torch.where(z > NEAR, z, torch.ones_like(z))
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    slope_x = (x / safe_z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    slope_y = (y / safe_z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [fx / safe_z, zero, -fx * slope_x / safe_z, zero, fy / safe_z, -fy * slope_y / safe_z], -1
    ).unflatten(-1, (2, 3))
    root = jacobian @ rotation @ rotation_matrices(gaussians.quats) * gaussians.scales[:, None]
    covariance = root @ root.mT + LOW_PASS * torch.eye(2, dtype=z.dtype)
    centres = torch.stack([fx * x / safe_z + cx, fy * y / safe_z + cy], -1)
    return centres, torch.linalg.inv(covariance), z


def rotation_matrices(quats: Tensor) -> Tensor:
    """[N, 4] wxyz -> [N, 3, 3]"""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).unflatten(-1, (3, 3))  # fmt: skip


def blend(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    depths: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> Rendered:
    """Composite front to back. Centres [N, 2], conics [N, 2, 2]."""
    dtype = means2d.dtype
    rows = torch.arange(height, dtype=dtype) + 0.5
    columns = torch.arange(width, dtype=dtype) + 0.5
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # [H, W, 2]
    transmittance = torch.ones(height, width, dtype=dtype)
    is_open = torch.ones(height, width, dtype=torch.bool)
    image = torch.zeros(height, width, colors.shape[1], dtype=dtype)
    depth = torch.zeros(height, width, dtype=dtype)
    for i in depths.detach().argsort(stable=True).tolist():
        if depths[i] <= NEAR:
            continue
        offsets = pixels - means2d[i]
        sigma = 0.5 * ((offsets @ conics[i]) * offsets).sum(-1)
        alpha = (opacities[i] * torch.exp(-sigma)).clamp(max=0.999)
        alpha = torch.where(alpha >= 1 / 255, alpha, torch.zeros_like(alpha))
        after = transmittance * (1 - alpha)
        is_open = is_open & (after > 1e-4)
        weight = torch.where(is_open, alpha * transmittance, torch.zeros_like(alpha))
        image = image + weight[..., None] * colors[i]
        depth = depth + weight * depths[i]
        transmittance = torch.where(is_open, after, transmittance)
    if background is not None:
        image = image + transmittance[..., None] * background
    return Rendered(image, 1 - transmittance, depth)
