"""The CPU rasterizer: Numba kernels behind one ``torch.autograd.Function``.

Equal input gives equal bytes for any number of threads. The kernels are compiled at first use
(about half a minute) and kept in Numba's cache on disk.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.raster_kernels import drawing
from shared.raster_kernels.drawing import Camera, FloatArray, Footprints, Splats
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
        return _draw(camera, gaussians, background)[0]


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


class _Rasterize(torch.autograd.Function):
    """``_draw`` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's context takes any attribute
        camera: Camera,
        statistics: ScreenStatistics | None,
        *inputs: Tensor,
    ) -> Rendered:
        gaussians, background = Gaussians(*inputs[:5]), inputs[5]
        rendered, splats, images = _draw(camera, gaussians, background)
        ctx.camera, ctx.statistics, ctx.splats = camera, statistics, splats
        ctx.save_for_backward(*inputs, *images)
        ctx.set_materialize_grads(False)
        return rendered

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401 - same
        *gradients: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        gaussians, background = Gaussians(*ctx.saved_tensors[:5]), ctx.saved_tensors[5]
        images = ctx.saved_tensors[6:]
        alpha = images[1]
        sizes = [(*alpha.shape, gaussians.colors.shape[1]), alpha.shape, alpha.shape]
        image_gradients = [
            torch.zeros(size) if gradient is None else gradient
            for size, gradient in zip(sizes, gradients, strict=True)
        ]
        footprints = _blend_backward(
            ctx.splats, gaussians.colors, background, images, image_gradients
        )
        results = _project_backward(ctx.camera, ctx.splats, gaussians, footprints)
        if ctx.statistics is not None:
            _add_statistics(ctx.statistics, footprints, ctx.splats, ctx.camera)
        v_background = None
        if ctx.needs_input_grad[7]:
            v_background = image_gradients[0] * (1 - alpha)[..., None]
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


def _flat(tensor: Tensor) -> FloatArray:
    """The same in one dimension."""
    return _array(tensor).reshape(-1)


def _draw(
    camera: Camera, gaussians: Gaussians, background: Tensor
) -> tuple[Rendered, Splats, tuple[Tensor, ...]]:
    """The picture, what blending needed, and the images that the gradient needs."""
    size = (camera.width, camera.height)
    shape = (camera.height, camera.width)
    n_channels = gaussians.colors.shape[1]
    colors = _array(gaussians.colors)
    if not bool(torch.isfinite(gaussians.colors).all()):
        raise InvalidInput("bad_gaussians", "colors has numbers that are not finite")
    with drawing.KERNELS:
        splats = drawing.project([_array(tensor) for tensor in gaussians[:4]], camera)
        alpha = torch.empty(shape)
        if n_channels == RGB:
            image, depth = torch.empty(*shape, RGB), torch.empty(shape)
            images = (image, alpha, depth)
            flat = (_flat(image), _flat(alpha), _flat(depth))
            drawing.blend_rgb(splats, colors, _flat(background), size, flat)
            return Rendered(*images), splats, images
        features = torch.empty(*shape, n_channels + 1)
        drawing.blend_channels(splats, colors, size, (_flat(features), _flat(alpha)))
    image = features[..., :n_channels] + (1 - alpha)[..., None] * background
    depth = features[..., n_channels].contiguous()
    return Rendered(image, alpha, depth), splats, (features, alpha)


def _blend_backward(
    splats: Splats,
    colors: Tensor,
    background: Tensor,
    images: tuple[Tensor, ...],
    gradients: list[Tensor],
) -> Footprints:
    """Gradients in the image plane from those in colours, alpha and depth."""
    v_image, v_alpha, v_depth = gradients
    size = (v_alpha.shape[1], v_alpha.shape[0])
    flat_images = [_flat(image) for image in images]
    if colors.shape[1] == RGB:
        flat_gradients = [_flat(v_image), _flat(v_alpha), _flat(v_depth)]
        with drawing.KERNELS:
            return drawing.blend_rgb_backward(
                splats, _array(colors), size, flat_images, flat_gradients
            )
    # The channels were blended over nothing: what the background adds goes by alpha.
    v_features = torch.cat([v_image, v_depth[..., None]], -1)
    flat_gradients = [_flat(v_features), _flat(v_alpha - (v_image * background).sum(-1))]
    with drawing.KERNELS:
        return drawing.blend_channels_backward(
            splats, _array(colors), size, flat_images, flat_gradients
        )


def _project_backward(
    camera: Camera, splats: Splats, gaussians: Gaussians, footprints: Footprints
) -> list[Tensor]:
    """Gradients of means, quats, scales, opacities, colours."""
    arrays = [_array(tensor) for tensor in gaussians[:3]]
    results = [torch.empty(array.shape) for array in arrays]
    with drawing.KERNELS:
        drawing.project_backward(
            arrays, camera, splats, footprints, [result.numpy() for result in results]
        )
    return [*results, torch.from_numpy(footprints.opacities), torch.from_numpy(footprints.colors)]


def _add_statistics(
    statistics: ScreenStatistics, footprints: Footprints, splats: Splats, camera: Camera
) -> None:
    """Add this view to the caller's buffers."""
    half_sides = torch.tensor([camera.width / 2, camera.height / 2])
    statistics.gradient.add_((torch.from_numpy(footprints.means2d) * half_sides).norm(dim=1))
    statistics.n_views.add_(torch.from_numpy(splats.rects[:, 0] <= splats.rects[:, 1]))
