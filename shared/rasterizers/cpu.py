"""The CPU rasterizer: Numba kernels for Gaussians and surfels.

Equal input gives equal bytes for any number of threads. The kernels are compiled at first use
(about half a minute for each of the two kinds) and kept in Numba's cache on disk. Batches are
drawn frame by frame.
"""

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians, Surfels
from shared.raster_kernels.draw_gaussians import draw_gaussians
from shared.raster_kernels.draw_surfels import draw_surfels
from shared.raster_kernels.drawing import Camera
from shared.rasterizer import Rendered, RenderedSurfels, ScreenStatistics
from shared.rasterizer_checks import (
    check_background,
    check_batch,
    check_cameras,
    check_gaussians,
)

REPEATS_GRADIENTS = True


def require_ready() -> None:
    """Every machine can draw with it."""


def rasterize(  # noqa: PLR0917 - the contract's order
    gaussians: Gaussians,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
    *,
    statistics: ScreenStatistics | None = None,
) -> Rendered:
    """Draw; see the contract in ``shared/rasterizer.py``.

    Raises:
        InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
    """
    _check_kind(gaussians)
    camera = _camera_of(viewmat, K, width, height)
    behind = _background_of(background, gaussians.colors, camera)
    return draw_gaussians(camera, gaussians, behind, statistics)


def rasterize_surfels(  # noqa: PLR0917 - the contract's order
    surfels: Surfels,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
    *,
    statistics: ScreenStatistics | None = None,
) -> RenderedSurfels:
    """Draw; see the contract in ``shared/rasterizer.py``.

    Raises:
        InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
    """
    _check_kind(surfels)
    camera = _camera_of(viewmat, K, width, height)
    behind = _background_of(background, surfels.colors, camera)
    return draw_surfels(camera, surfels, behind, statistics)


def rasterize_batch(  # noqa: PLR0917 - the contract's order
    gaussians: Gaussians,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> Rendered:
    """Draw frame by frame; see the contract."""
    check_batch(gaussians, viewmats, Ks)
    frames = [
        rasterize(Gaussians(*frame), viewmat, K, width, height, background)
        for *frame, viewmat, K in zip(*gaussians, viewmats, Ks, strict=True)
    ]
    return Rendered(*(torch.stack(images) for images in zip(*frames, strict=True)))


def rasterize_surfels_batch(  # noqa: PLR0917 - the contract's order
    surfels: Surfels,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> RenderedSurfels:
    """Draw frame by frame; see the contract."""
    check_batch(surfels, viewmats, Ks)
    frames = [
        rasterize_surfels(Surfels(*frame), viewmat, K, width, height, background)
        for *frame, viewmat, K in zip(*surfels, viewmats, Ks, strict=True)
    ]
    return RenderedSurfels(*(torch.stack(images) for images in zip(*frames, strict=True)))


def _check_kind(gaussians: Gaussians | Surfels) -> None:
    """The shared checks, and that the kernels can read the memory."""
    if gaussians.means.device.type != "cpu":
        raise InvalidInput(
            "bad_gaussians",
            f"means is on {gaussians.means.device}; the CPU rasterizer takes tensors on cpu",
        )
    check_gaussians(gaussians)


def _background_of(background: Tensor | None, colors: Tensor, camera: Camera) -> Tensor:
    """The background, checked; black where there is none."""
    if background is None:
        return torch.zeros(colors.shape[1])
    check_background(background, colors, camera.width, camera.height)
    return background


def _camera_of(viewmat: Tensor, K: Tensor, width: int, height: int) -> Camera:
    """Check a camera and pack it for the kernels."""
    check_cameras(viewmat[None], K[None], width, height)
    view = viewmat.detach().cpu().numpy().astype(np.float32)
    k = K.detach().cpu().numpy().astype(np.float32)
    rest = np.asarray([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], np.float32)
    return Camera(
        np.concatenate([view[:3, :3].ravel(), view[:3, 3], rest]), int(width), int(height)
    )
