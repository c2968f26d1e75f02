"""A stand-in for gsplat 1.5.3: its signatures and shapes, drawn by the float64 references.

It refuses what gsplat's own assertions refuse, so that the adapter's mapping is tested without a
GPU: quaternion order, scales, where depth goes, cameras by batch, what comes back where.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from shared.gaussians import Gaussians, Surfels
from tests import reference_rasterizer, reference_surfels

CHANNELS = (1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512)
"""For surfels gsplat pads others with memory that nobody has set."""


def make_fake_gsplat() -> ModuleType:
    """A module to be put in the place of ``gsplat``."""
    module = ModuleType("gsplat")
    module.__dict__.update(rasterization=rasterization, rasterization_2dgs=rasterization_2dgs)
    return module


def rasterization(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    *,
    packed: bool = True,
    render_mode: str = "RGB",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """3D Gaussians in frames [T, N, ...], each seen by one camera [T, 1, ...]."""
    _check(means, quats, scales, opacities, viewmats, Ks)
    assert colors.shape[:-1] == means.shape[:-1]
    assert (near_plane, far_plane, radius_clip, eps2d) == (0.01, 1e10, 0.0, 0.3)
    assert (sh_degree, packed, render_mode) == (None, False, "RGB+D")
    frames, centres = [], []
    for k in range(means.shape[0]):
        own = Gaussians(means[k], quats[k], scales[k], opacities[k], colors[k])
        own = Gaussians(*(tensor.double() for tensor in own))
        camera = viewmats[k, 0].double(), Ks[k, 0].double()
        means2d, conics, depths = reference_rasterizer.project(own, *camera, width, height)
        centres.append((means2d, conics, depths, own.opacities, own.colors))
    # The pictures depend on the very tensor that is handed out.
    means2d = torch.stack([centre[0] for centre in centres])[:, None]
    for k, (_, conics, depths, own_opacities, own_colors) in enumerate(centres):
        drawn = reference_rasterizer.blend(
            means2d[k, 0], conics, own_opacities, own_colors, depths, width, height
        )
        frames.append((torch.cat([drawn.colors, drawn.depth[..., None]], -1), drawn.alpha))
    images, alphas = (torch.stack(each)[:, None].float() for each in zip(*frames, strict=True))
    return images, alphas[..., None], {"means2d": means2d, "radii": _radii(means, viewmats)}


def rasterization_2dgs(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    *,
    packed: bool = False,
    render_mode: str = "RGB",
) -> tuple[Tensor | dict[str, Any] | None, ...]:
    """Surfels; without its depth mode, distortion and median come from the last channel."""
    _check(means, quats, scales, opacities, viewmats, Ks)
    n_frames, n = means.shape[:2]
    assert colors.shape[:-1] == (n_frames, 1, n)
    assert colors.shape[-1] in CHANNELS
    assert (near_plane, far_plane, radius_clip, eps2d) == (0.01, 1e10, 0.0, 0.3)
    assert (sh_degree, packed, render_mode) == (None, False, "RGB")
    frames = []
    for k in range(n_frames):
        camera = viewmats[k, 0].double(), Ks[k, 0].double()
        own = Surfels(means[k], quats[k], scales[k, :, :2], opacities[k], colors[k, 0])
        own = Surfels(*(tensor.double() for tensor in own))
        depths = (own.means @ camera[0][:3, :3].T + camera[0][:3, 3])[:, 2]
        torch.testing.assert_close(own.colors[:, -1], depths, rtol=1e-5, atol=1e-5)
        frames.append(reference_surfels.rasterize_surfels(own, *camera, width, height))
    stacked = [torch.stack(images)[:, None].float() for images in zip(*frames, strict=True)]
    image, alpha, _, normals, distortion, median = stacked
    found = {"radii": _radii(means, viewmats)}
    return (
        image,
        alpha[..., None],
        normals,
        None,
        distortion[..., None],
        median[..., None],
        found,
    )


def _check(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, viewmats: Tensor, Ks: Tensor
) -> None:
    """What gsplat asserts of a batch with one camera a frame."""
    n_frames, n = means.shape[:2]
    assert n > 0
    assert (n_frames, n, 3) == means.shape == scales.shape
    assert (n_frames, n, 4) == quats.shape
    assert (n_frames, n) == opacities.shape
    assert (n_frames, 1, 4, 4) == viewmats.shape
    assert (n_frames, 1, 3, 3) == Ks.shape


def _radii(means: Tensor, viewmats: Tensor) -> Tensor:
    """Positive in front of the camera. [T, 1, N, 2]"""
    depths = means @ viewmats[:, 0, 2, :3, None] + viewmats[:, 0, None, 2:3, 3]
    return (depths > 0.01).int().expand(*depths.shape[:2], 2)[:, None]
