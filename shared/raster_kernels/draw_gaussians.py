"""Draws 3D Gaussians on the CPU, with gradients: kernels behind a ``torch.autograd.Function``."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.raster_kernels import drawing
from shared.raster_kernels.drawing import Camera, FloatArray, Footprints, Images, Lists
from shared.rasterizer import Rendered, ScreenStatistics

RGB = 3


def draw_gaussians(
    camera: Camera,
    gaussians: Gaussians,
    background: Tensor,
    statistics: ScreenStatistics | None,
) -> Rendered:
    """Draw what was checked; see ``rasterize`` in the contract."""
    inputs = (*gaussians, background)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        return Rendered(*_DrawGaussians.apply(camera, statistics, *inputs))
    with torch.no_grad():
        return _draw(camera, gaussians, background).rendered


class _Drawn(NamedTuple):
    """A picture and what its gradient needs."""

    rendered: Rendered
    values: FloatArray  # of the splats
    lists: Lists
    images: tuple[Tensor, ...]  # colours, alpha, depth; or channels with depth, alpha


class _DrawGaussians(torch.autograd.Function):
    """``_draw`` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        camera: Camera,
        statistics: ScreenStatistics | None,
        *inputs: Tensor,
    ) -> Rendered:
        drawn = _draw(camera, Gaussians(*inputs[:5]), inputs[5])
        ctx.camera, ctx.statistics = camera, statistics
        ctx.values, ctx.lists = drawn.values, drawn.lists
        ctx.save_for_backward(*inputs, *drawn.images)
        ctx.set_materialize_grads(False)
        return drawn.rendered

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,
        *gradients: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        gaussians, background = Gaussians(*ctx.saved_tensors[:5]), ctx.saved_tensors[5]
        images = ctx.saved_tensors[6:]
        alpha = images[1]
        v_image = gradients[0]
        if v_image is None:
            v_image = torch.zeros(*alpha.shape, gaussians.colors.shape[1])
        footprints = _blend_backward(
            (ctx.values, ctx.lists),
            gaussians.colors,
            background,
            images,
            (v_image, gradients[1], gradients[2]),
        )
        arrays = [array_of(tensor) for tensor in gaussians[:3]]
        results = [torch.empty(array.shape) for array in arrays]
        drawing.project_backward(
            (arrays, ctx.camera),
            (ctx.values, ctx.lists.rects),
            footprints,
            [result.numpy() for result in results],
        )
        results += [torch.from_numpy(footprints.opacities), torch.from_numpy(footprints.colors)]
        if ctx.statistics is not None:
            _add_statistics(ctx.statistics, footprints, ctx.lists, ctx.camera)
        v_background = None
        if ctx.needs_input_grad[7]:
            v_background = v_image * (1 - alpha)[..., None]
            if background.ndim == 1:
                v_background = sum_over_pixels(v_background)
        return (None, None, *results, v_background)


def sum_over_pixels(image: Tensor) -> Tensor:
    """[H, W, C] -> [C], by NumPy because torch's order of adding depends on the thread count."""
    return torch.from_numpy(image.numpy().sum((0, 1), dtype=np.float64).astype(np.float32))


def array_of(tensor: Tensor) -> FloatArray:
    """The tensor's memory as the kernels take it."""
    array: FloatArray = tensor.detach().contiguous().numpy()
    return array


def flat(*tensors: Tensor | None) -> Images:
    """The same in one dimension; empty for None."""
    empty = np.empty(0, np.float32)
    return tuple(empty if tensor is None else array_of(tensor).reshape(-1) for tensor in tensors)


def _draw(camera: Camera, gaussians: Gaussians, background: Tensor) -> _Drawn:
    size = (camera.width, camera.height)
    shape = (camera.height, camera.width)
    colors = array_of(gaussians.colors)
    n_channels = colors.shape[1]
    # NumPy here: threads of torch would spin on the cores that the kernels need next.
    if not np.isfinite(colors).all():
        raise InvalidInput("bad_gaussians", "colors has numbers that are not finite")
    splats = drawing.project([array_of(tensor) for tensor in gaussians[:4]], camera)
    alpha = torch.empty(shape)
    if n_channels == RGB:
        image, depth = torch.empty(*shape, RGB), torch.empty(shape)
        images = flat(image, alpha, depth)
        lists = drawing.blend_rgb(splats, colors, flat(background)[0], size, images)
        return _Drawn(Rendered(image, alpha, depth), splats.values, lists, (image, alpha, depth))
    features = torch.empty(*shape, n_channels + 1)
    lists = drawing.blend_channels(splats, colors, size, flat(features, alpha))
    image = features[..., :n_channels] + (1 - alpha)[..., None] * background
    depth = features[..., n_channels].contiguous()
    return _Drawn(Rendered(image, alpha, depth), splats.values, lists, (features, alpha))


def _blend_backward(
    splats: tuple[FloatArray, Lists],
    colors: Tensor,
    background: Tensor,
    images: tuple[Tensor, ...],
    gradients: tuple[Tensor, Tensor | None, Tensor | None],
) -> Footprints:
    """Gradients in the image plane from those in colours, alpha and depth."""
    v_image, v_alpha, v_depth = gradients
    size = (v_image.shape[1], v_image.shape[0])
    pictures = flat(*images)
    if colors.shape[1] == RGB:
        return drawing.blend_rgb_backward(
            *splats, array_of(colors), size, (pictures, flat(*gradients))
        )
    # The channels were blended over nothing: what the background adds goes by alpha.
    zero = torch.zeros(v_image.shape[:2])
    v_features = torch.cat([v_image, (zero if v_depth is None else v_depth)[..., None]], -1)
    v_alpha = (zero if v_alpha is None else v_alpha) - (v_image * background).sum(-1)
    return drawing.blend_channels_backward(
        *splats, array_of(colors), size, (pictures, flat(v_features, v_alpha))
    )


def _add_statistics(
    statistics: ScreenStatistics, footprints: Footprints, lists: Lists, camera: Camera
) -> None:
    """Add this view to the caller's buffers."""
    half_sides = torch.tensor([camera.width / 2, camera.height / 2])
    statistics.gradient.add_((torch.from_numpy(footprints.means2d) * half_sides).norm(dim=1))
    statistics.n_views.add_(torch.from_numpy(lists.rects[:, 0] <= lists.rects[:, 1]))
