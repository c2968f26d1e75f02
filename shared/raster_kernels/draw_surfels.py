"""Draws surfels on the CPU, with gradients: kernels behind a ``torch.autograd.Function``."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Surfels
from shared.raster_kernels import surfel_drawing
from shared.raster_kernels.draw_gaussians import array_of, flat, sum_over_pixels
from shared.raster_kernels.drawing import Camera, FloatArray, Lists
from shared.raster_kernels.surfel_tiles import N_REGISTERS
from shared.rasterizer import RenderedSurfels, ScreenStatistics


class Drawn(NamedTuple):
    """Pictures and what their gradient needs."""

    rendered: RenderedSurfels
    values: FloatArray  # of the projected surfels
    lists: Lists
    images: tuple[Tensor, ...]  # as the kernels wrote them


def draw_surfels(
    camera: Camera,
    surfels: Surfels,
    background: Tensor,
    statistics: ScreenStatistics | None,
) -> RenderedSurfels:
    """Draw what was checked; see ``rasterize_surfels`` in the contract."""
    inputs = (*surfels, background)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        return RenderedSurfels(*_DrawSurfels.apply(camera, statistics, *inputs))
    with torch.no_grad():
        return _draw(camera, surfels, background).rendered


class _DrawSurfels(torch.autograd.Function):
    """``_draw`` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        camera: Camera,
        statistics: ScreenStatistics | None,
        *inputs: Tensor,
    ) -> RenderedSurfels:
        drawn = _draw(camera, Surfels(*inputs[:5]), inputs[5])
        ctx.camera, ctx.statistics = camera, statistics
        ctx.values, ctx.lists = drawn.values, drawn.lists
        ctx.save_for_backward(*inputs, *drawn.images)
        ctx.set_materialize_grads(False)
        return drawn.rendered

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        surfels, background = Surfels(*ctx.saved_tensors[:5]), ctx.saved_tensors[5]
        images = ctx.saved_tensors[6:]
        alpha = images[2]
        n_channels = surfels.colors.shape[1]
        v_colors = gradients[0]
        if v_colors is None:
            v_colors = torch.zeros(*alpha.shape, n_channels)
        in_registers, others = _split(v_colors)
        result = surfel_drawing.backward(
            [*(array_of(tensor) for tensor in surfels[:3]), _padded(array_of(surfels.colors))],
            ctx.camera,
            (ctx.values, ctx.lists),
            flat(*images),
            flat(in_registers, others, *gradients[1:]),
        )
        if ctx.statistics is not None:
            _add_statistics(ctx.statistics, result.means, ctx)
        v_background = None
        if ctx.needs_input_grad[7]:
            v_background = v_colors * (1 - alpha)[..., None]
            if background.ndim == 1:
                v_background = sum_over_pixels(v_background)
        v_surfels = result._replace(colors=np.ascontiguousarray(result.colors[:, :n_channels]))
        return (None, None, *map(torch.from_numpy, v_surfels), v_background)


def _draw(camera: Camera, surfels: Surfels, background: Tensor) -> Drawn:
    shape = (camera.height, camera.width)
    colors = array_of(surfels.colors)
    n_channels = colors.shape[1]
    # NumPy here: threads of torch would spin on the cores that the kernels need next.
    if not np.isfinite(colors).all():
        raise InvalidInput("bad_gaussians", "colors has numbers that are not finite")
    projected = surfel_drawing.project([array_of(tensor) for tensor in surfels[:4]], camera)
    first = torch.empty(*shape, N_REGISTERS)
    others = torch.empty(*shape, max(n_channels - N_REGISTERS, 0))
    alpha, depth, normals = torch.empty(shape), torch.empty(shape), torch.empty(*shape, 3)
    distortion, median, place = torch.empty(shape), torch.empty(shape), torch.empty(shape)
    images = (first, others, alpha, depth, normals, distortion, median, place)
    behind = _padded(array_of(background)).reshape(-1)
    lists = surfel_drawing.blend(projected, _padded(colors), behind, camera, flat(*images))
    image = first
    if n_channels > N_REGISTERS:
        image = torch.cat([first, others], -1)
    elif n_channels < N_REGISTERS:
        image = first[..., :n_channels].contiguous()
    rendered = RenderedSurfels(image, alpha, depth, normals, distortion, median)
    return Drawn(rendered, projected.values, lists, images)


def _padded(channels: FloatArray) -> FloatArray:
    """Zeros behind fewer channels than the kernels hold in registers."""
    n_missing = N_REGISTERS - channels.shape[-1]
    if n_missing <= 0:
        return channels
    return np.pad(channels, [(0, 0)] * (channels.ndim - 1) + [(0, n_missing)])


def _split(v_colors: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in the channels held in registers, and in the others."""
    n_missing = N_REGISTERS - v_colors.shape[-1]
    if n_missing > 0:
        v_colors = torch.nn.functional.pad(v_colors, (0, n_missing))
    return v_colors[..., :N_REGISTERS], v_colors[..., N_REGISTERS:]


def _add_statistics(statistics: ScreenStatistics, v_means: FloatArray, ctx: Any) -> None:
    """Add this view to the caller's buffers.

    The 2D mean of a surfel moves with its centre, parallel to the picture.
    """
    camera, lists = ctx.camera, ctx.lists
    is_drawn = lists.rects[:, 0] <= lists.rects[:, 1]
    sideways = v_means @ camera.parameters[:6].reshape(2, 3).T  # [N, 2] per m in camera space
    depths = np.where(is_drawn, ctx.values[:, surfel_drawing.DEPTH_COLUMN], 0)
    half_sides = np.asarray([camera.width, camera.height], np.float32) / 2
    in_half_sides = sideways * (depths[:, None] / camera.parameters[12:14] * half_sides)
    statistics.gradient.add_(torch.from_numpy(np.linalg.norm(in_half_sides, axis=1)))
    statistics.n_views.add_(torch.from_numpy(is_drawn))
