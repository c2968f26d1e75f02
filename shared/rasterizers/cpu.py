"""The CPU rasterizer: Numba kernels behind one ``torch.autograd.Function``.

Equal input gives equal bytes for any number of threads. The kernels are compiled at first use
(about half a minute) and kept in Numba's cache on disk.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.raster_kernels import drawing
from shared.raster_kernels.drawing import Camera, FloatArray, Footprints, Images, Lists
from shared.rasterizer import Rendered, ScreenStatistics

MAX_SIDE = 16384
"""Pixels; beyond it float32 positions get coarse."""

RGB = 3


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
    check_gaussians(gaussians)
    camera = camera_of(viewmat, K, width, height)
    n_channels = gaussians.colors.shape[1]
    if background is None:
        background = torch.zeros(n_channels)
    check_background(background, camera, n_channels)
    inputs = (*gaussians, background)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        return Rendered(*_Rasterize.apply(camera, statistics, *inputs))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return _draw(camera, gaussians, background).rendered


def check_gaussians(gaussians: Gaussians) -> None:
    """Refuse what the kernels cannot read.

    Raises:
        InvalidInput: ``bad_gaussians``, with what was found and what was expected.
    """
    for name, tensor in gaussians._asdict().items():
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
            raise InvalidInput(
                "bad_gaussians",
                f"{name} is {tensor.dtype} on {tensor.device}; the CPU rasterizer takes "
                "torch.float32 on cpu",
            )
    n = gaussians.means.shape[0] if gaussians.means.ndim else 0
    n_channels = gaussians.colors.shape[-1] if gaussians.colors.ndim else 0
    expected = Gaussians((n, 3), (n, 4), (n, 3), (n,), (n, max(n_channels, 1)))  # type: ignore[arg-type]
    for name, tensor in gaussians._asdict().items():
        shape = getattr(expected, name)
        if tuple(tensor.shape) != shape:
            raise InvalidInput(
                "bad_gaussians", f"{name} is {list(tensor.shape)}, expected {list(shape)}"
            )


def check_background(background: Tensor, camera: Camera, n_channels: int) -> None:
    """Refuse a background of the wrong kind.

    Raises:
        InvalidInput: ``bad_background``.
    """
    shapes = [(n_channels,), (camera.height, camera.width, n_channels)]
    is_readable = background.device.type == "cpu" and background.dtype == torch.float32
    if not is_readable or tuple(background.shape) not in shapes:
        raise InvalidInput(
            "bad_background",
            f"background is {list(background.shape)} {background.dtype} on {background.device}; "
            f"expected {list(shapes[0])} or {list(shapes[1])}, torch.float32 on cpu",
        )


def camera_of(viewmat: Tensor, intrinsics: Tensor, width: int, height: int) -> Camera:
    """Check a pinhole camera and pack it for the kernels.

    Raises:
        InvalidInput: ``bad_camera``.
    """
    if tuple(viewmat.shape) != (4, 4) or tuple(intrinsics.shape) != (3, 3):
        raise InvalidInput(
            "bad_camera",
            f"viewmat is {list(viewmat.shape)} and K {list(intrinsics.shape)}; "
            "expected [4, 4] and [3, 3]",
        )
    if viewmat.requires_grad or intrinsics.requires_grad:
        raise InvalidInput(
            "bad_camera", "the camera has no gradient here; move the Gaussians instead"
        )
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidInput("bad_camera", f"cannot draw {width}x{height}; 1 to {MAX_SIDE} px a side")
    view = viewmat.detach().cpu().numpy().astype(np.float32)
    k = intrinsics.detach().cpu().numpy().astype(np.float32)
    fx, fy, cx, cy = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    parameters = np.concatenate([view[:3, :3].ravel(), view[:3, 3], [fx, fy, cx, cy]])
    parameters = parameters.astype(np.float32)
    if not (np.isfinite(parameters).all() and fx > 0 and fy > 0 and k[0, 1] == 0):
        raise InvalidInput("bad_camera", "K needs positive focal lengths, no skew, finite numbers")
    return Camera(parameters, int(width), int(height))


class _Drawn(NamedTuple):
    """A picture and what its gradient needs."""

    rendered: Rendered
    values: FloatArray  # of the splats
    lists: Lists
    images: tuple[Tensor, ...]  # colours, alpha, depth; or channels with depth, alpha


class _Rasterize(torch.autograd.Function):
    """``_draw`` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
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
        ctx: Any,  # noqa: ANN401 - same
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
        arrays = [_array(tensor) for tensor in gaussians[:3]]
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
                v_background = _sum_over_pixels(v_background)
        return (None, None, *results, v_background)


def _sum_over_pixels(image: Tensor) -> Tensor:
    """[H, W, C] -> [C], by NumPy because torch's order of adding depends on the thread count."""
    return torch.from_numpy(image.numpy().sum((0, 1), dtype=np.float64).astype(np.float32))


def _array(tensor: Tensor) -> FloatArray:
    """The tensor's memory as the kernels take it."""
    array: FloatArray = tensor.detach().contiguous().numpy()
    return array


def _flat(*tensors: Tensor | None) -> Images:
    """The same in one dimension; empty for None."""
    empty = np.empty(0, np.float32)
    return tuple(empty if tensor is None else _array(tensor).reshape(-1) for tensor in tensors)


def _draw(camera: Camera, gaussians: Gaussians, background: Tensor) -> _Drawn:
    size = (camera.width, camera.height)
    shape = (camera.height, camera.width)
    colors = _array(gaussians.colors)
    n_channels = colors.shape[1]
    # NumPy here: threads of torch would spin on the cores that the kernels need next.
    if not np.isfinite(colors).all():
        raise InvalidInput("bad_gaussians", "colors has numbers that are not finite")
    splats = drawing.project([_array(tensor) for tensor in gaussians[:4]], camera)
    alpha = torch.empty(shape)
    if n_channels == RGB:
        image, depth = torch.empty(*shape, RGB), torch.empty(shape)
        images = _flat(image, alpha, depth)
        lists = drawing.blend_rgb(splats, colors, _flat(background)[0], size, images)
        return _Drawn(Rendered(image, alpha, depth), splats.values, lists, (image, alpha, depth))
    features = torch.empty(*shape, n_channels + 1)
    lists = drawing.blend_channels(splats, colors, size, _flat(features, alpha))
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
    pictures = _flat(*images)
    if colors.shape[1] == RGB:
        return drawing.blend_rgb_backward(
            *splats, _array(colors), size, (pictures, _flat(*gradients))
        )
    # The channels were blended over nothing: what the background adds goes by alpha.
    zero = torch.zeros(v_image.shape[:2])
    v_features = torch.cat([v_image, (zero if v_depth is None else v_depth)[..., None]], -1)
    v_alpha = (zero if v_alpha is None else v_alpha) - (v_image * background).sum(-1)
    return drawing.blend_channels_backward(
        *splats, _array(colors), size, (pictures, _flat(v_features, v_alpha))
    )


def _add_statistics(
    statistics: ScreenStatistics, footprints: Footprints, lists: Lists, camera: Camera
) -> None:
    """Add this view to the caller's buffers."""
    half_sides = torch.tensor([camera.width / 2, camera.height / 2])
    statistics.gradient.add_((torch.from_numpy(footprints.means2d) * half_sides).norm(dim=1))
    statistics.n_views.add_(torch.from_numpy(lists.rects[:, 0] <= lists.rects[:, 1]))
