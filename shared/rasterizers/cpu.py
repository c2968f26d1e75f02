"""The CPU rasterizer: Numba kernels behind one ``torch.autograd.Function``.

Equal input gives equal bytes for any number of threads. The kernels are compiled at first use
(about half a minute) and kept in Numba's cache on disk.
"""

import threading
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.raster_kernels import binning, blending, projection
from shared.rasterizer import Rendered

FloatArray = npt.NDArray[np.float32]

# Numba's simplest threading layer must not be entered by two threads at once.
_KERNELS = threading.Lock()


class Camera(NamedTuple):
    """Where the picture is taken from."""

    parameters: FloatArray  # [16] rotation rows, translation, fx, fy, cx, cy
    width: int
    height: int


class Splats(NamedTuple):
    """Gaussians in the image plane, sorted into tiles; all that blending and its gradient need."""

    values: FloatArray  # [N, 8], columns in ``projection.py``
    rects: npt.NDArray[np.int16]  # [N, 4] tiles x0, x1, y0, y1
    starts: npt.NDArray[np.int32]  # [n_tiles + 1]
    ids: npt.NDArray[np.int32]


def rasterize(
    gaussians: Gaussians,
    viewmat: Tensor,
    K: Tensor,  # noqa: N803 - the field's name for intrinsics
    width: int,
    height: int,
    background: Tensor | None = None,
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
        return Rendered(*_Rasterize.apply(camera, *inputs))
    return Rendered(*_draw(camera, *(_array(tensor) for tensor in inputs))[1:])


def check_gaussians(gaussians: Gaussians) -> None:
    """Refuse what the kernels cannot read.

    Raises:
        InvalidInput: ``bad_gaussians``, with what was found and what was expected.
    """
    n = gaussians.means.shape[0] if gaussians.means.ndim else 0
    widths = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "colors": None}
    for (name, width), tensor in zip(widths.items(), gaussians, strict=True):
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
            raise InvalidInput(
                "bad_gaussians",
                f"{name} is {tensor.dtype} on {tensor.device}; the CPU rasterizer takes "
                "torch.float32 on cpu",
            )
        expected = (n, *(width if width is not None else tensor.shape[1:2] or (1,)))
        if tuple(tensor.shape) != expected:
            raise InvalidInput(
                "bad_gaussians", f"{name} is {list(tensor.shape)}, expected {list(expected)}"
            )
    if gaussians.colors.shape[1] != 3:  # noqa: PLR2004 - other counts follow
        raise InvalidInput("bad_gaussians", "colors must be [N, 3] for now")


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
    view = viewmat.numpy().astype(np.float64)
    k = intrinsics.numpy().astype(np.float64)
    is_finite = bool(np.isfinite(view).all() and np.isfinite(k).all())
    if not is_finite or k[0, 0] <= 0 or k[1, 1] <= 0 or k[0, 1] != 0:
        raise InvalidInput("bad_camera", "K needs positive focal lengths, no skew, finite numbers")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidInput("bad_camera", f"cannot draw {width}x{height}; 1 to {MAX_SIDE} px a side")
    parameters = np.concatenate(
        [view[:3, :3].ravel(), view[:3, 3], [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]]
    )
    return Camera(parameters.astype(np.float32), int(width), int(height))


MAX_SIDE = 16384
"""Pixels; tile numbers are held in 16 bits and positions in float32."""


class _Rasterize(torch.autograd.Function):
    """``_draw`` with its gradient."""

    @staticmethod
    def forward(ctx: Any, camera: Camera, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401 - torch's context has no type
        splats, *images = _draw(camera, *(_array(tensor) for tensor in inputs))
        ctx.camera, ctx.splats = camera, splats
        ctx.save_for_backward(*inputs, *images)
        ctx.set_materialize_grads(False)
        return images[0], images[1], images[2]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        means, quats, scales, opacities, colors, background, *images = ctx.saved_tensors
        arrays = [_array(t) for t in (means, quats, scales, opacities, colors)]
        image_gradients = [
            _array(torch.zeros_like(image) if gradient is None else gradient)
            for image, gradient in zip(images, gradients, strict=True)
        ]
        v_gaussians = _draw_backward(
            ctx.camera, ctx.splats, arrays, [_array(image) for image in images], image_gradients
        )
        v_background = None
        if ctx.needs_input_grad[6] and gradients[0] is not None:
            v_background = gradients[0] * (1 - images[1])[..., None]
            if background.ndim == 1:
                v_background = v_background.sum((0, 1))
        return (None, *v_gaussians, v_background)


def _array(tensor: Tensor) -> FloatArray:
    """The tensor's memory as the kernels take it."""
    array: FloatArray = tensor.detach().contiguous().numpy()
    return array


def _draw(
    camera: Camera,
    means: FloatArray,
    quats: FloatArray,
    scales: FloatArray,
    opacities: FloatArray,
    colors: FloatArray,
    background: FloatArray,
) -> tuple[Splats, Tensor, Tensor, Tensor]:
    """Splats, colours, alpha, depth."""
    n = means.shape[0]
    values = np.empty((n, projection.SPLAT_WIDTH), np.float32)
    rects = np.empty((n, 4), np.int16)
    bad = np.empty(n, np.uint8)
    with _KERNELS:
        projection.project(
            means, quats, scales, opacities, camera.parameters, camera.width, camera.height,
            values, rects, bad,
        )
        if bad.any() or not np.isfinite(colors).all():
            raise InvalidInput(
                "bad_gaussians",
                f"{int(bad.sum())} of {n} Gaussians have a number that is not finite "
                "or a zero quaternion",
            )
        splats = _bin(values, rects, camera)
        out_colors = torch.empty(camera.height, camera.width, colors.shape[1])
        out_alpha = torch.empty(camera.height, camera.width)
        out_depth = torch.empty(camera.height, camera.width)
        blending.blend(
            splats.values, colors, splats.starts, splats.ids, blending.lane_positions(),
            background if background.ndim == 3 else background[None, None],  # noqa: PLR2004
            out_colors.numpy(), out_alpha.numpy(), out_depth.numpy(),
        )
    return splats, out_colors, out_alpha, out_depth


def _bin(values: FloatArray, rects: npt.NDArray[np.int16], camera: Camera) -> Splats:
    """Sort by depth and into tiles."""
    n = values.shape[0]
    depth_bits = np.ascontiguousarray(values[:, 7]).view(np.int32)
    order = binning.sort_by_depth(
        depth_bits, rects, np.empty(n, np.int64), np.empty(n, np.int64)
    )
    n_tiles_x = -(-camera.width // projection.TILE)
    n_tiles_y = -(-camera.height // projection.TILE)
    starts, ids = binning.bin_into_tiles(
        rects, order, n_tiles_x, n_tiles_x * n_tiles_y, numba.get_num_threads()
    )
    return Splats(values, rects, starts, ids)


def _draw_backward(
    camera: Camera,
    splats: Splats,
    gaussians: list[FloatArray],
    images: list[FloatArray],
    gradients: list[FloatArray],
) -> tuple[Tensor, ...]:
    """Gradients of means, quats, scales, opacities, colours."""
    means, quats, scales, opacities, colors = gaussians
    n = means.shape[0]
    v_means2d = np.empty((n, 2), np.float32)
    v_conics = np.empty((n, 3), np.float32)
    v_depths = np.empty(n, np.float32)
    results = [torch.empty(array.shape) for array in gaussians]
    v_means, v_quats, v_scales, v_opacities, v_colors = (result.numpy() for result in results)
    with _KERNELS:
        blending.blend_backward(
            splats.values, colors, splats.rects, splats.starts, splats.ids,
            blending.lane_positions(), *images, *gradients,
            v_means2d, v_conics, v_opacities, v_colors, v_depths,
        )
        projection.project_backward(
            means, quats, scales, camera.parameters, camera.width, camera.height,
            splats.values, splats.rects, v_means2d, v_conics, v_depths,
            v_means, v_quats, v_scales,
        )
    return tuple(results)
