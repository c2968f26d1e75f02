"""What every rasterizer refuses, in the same words."""

import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians, Surfels

MAX_SIDE = 16384
"""Pixels; beyond it float32 positions get coarse."""


def check_gaussians(gaussians: Gaussians | Surfels, *frames: int) -> None:
    """Refuse wrong types and shapes; in a batch ``frames`` is its T, otherwise nothing.

    Raises:
        InvalidInput: ``bad_gaussians``, with what was found and what was expected.
    """
    device = gaussians.means.device
    for name, tensor in gaussians._asdict().items():
        if tensor.device != device or tensor.dtype != torch.float32:
            raise InvalidInput(
                "bad_gaussians",
                f"{name} is {tensor.dtype} on {tensor.device}; expected torch.float32 on {device}",
            )
    n = gaussians.means.shape[-2] if gaussians.means.ndim > 1 else 0
    n_channels = gaussians.colors.shape[-1] if gaussians.colors.ndim else 0
    n_scales = 2 if isinstance(gaussians, Surfels) else 3
    shapes = [(n, 3), (n, 4), (n, n_scales), (n,), (n, max(n_channels, 1))]
    for (name, tensor), shape in zip(gaussians._asdict().items(), shapes, strict=True):
        if tuple(tensor.shape) != (*frames, *shape):
            raise InvalidInput(
                "bad_gaussians",
                f"{name} is {list(tensor.shape)}, expected {[*frames, *shape]}",
            )


def check_background(background: Tensor, colors: Tensor, width: int, height: int) -> None:
    """Refuse a background of the wrong kind for ``colors`` [N, C].

    Raises:
        InvalidInput: ``bad_background``.
    """
    n_channels = colors.shape[-1]
    shapes = [(n_channels,), (height, width, n_channels)]
    is_readable = background.device == colors.device and background.dtype == torch.float32
    if not is_readable or tuple(background.shape) not in shapes:
        raise InvalidInput(
            "bad_background",
            f"background is {list(background.shape)} {background.dtype} on {background.device}; "
            f"expected {list(shapes[0])} or {list(shapes[1])}, torch.float32 on {colors.device}",
        )


def check_cameras(viewmats: Tensor, Ks: Tensor, width: int, height: int) -> None:
    """Refuse what are no pinhole cameras, one for each frame. [T, 4, 4] and [T, 3, 3]

    Raises:
        InvalidInput: ``bad_camera``.
    """
    if tuple(viewmats.shape[1:]) != (4, 4) or tuple(Ks.shape[1:]) != (3, 3):
        raise InvalidInput(
            "bad_camera",
            f"viewmat is {list(viewmats.shape[1:])} and K {list(Ks.shape[1:])}; "
            "expected [4, 4] and [3, 3]",
        )
    if viewmats.requires_grad or Ks.requires_grad:
        raise InvalidInput(
            "bad_camera", "the camera has no gradient here; move the Gaussians instead"
        )
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidInput("bad_camera", f"cannot draw {width}x{height}; 1 to {MAX_SIDE} px a side")
    views, intrinsics = viewmats[:, :3].cpu(), Ks[:, :2].cpu()
    focal = intrinsics[:, (0, 1), (0, 1)]
    is_pinhole = bool((focal > 0).all()) and bool((intrinsics[:, 0, 1] == 0).all())
    if not (is_pinhole and bool(views.isfinite().all()) and bool(intrinsics.isfinite().all())):
        raise InvalidInput("bad_camera", "K needs positive focal lengths, no skew, finite numbers")


def check_batch(gaussians: Gaussians | Surfels, viewmats: Tensor, Ks: Tensor) -> int:
    """The number of frames T.

    Raises:
        InvalidInput: ``bad_gaussians`` where there is no frame or a tensor's first dimension
            counts others.
    """
    tensors = {**gaussians._asdict(), "viewmats": viewmats, "Ks": Ks}
    counts = {name: tensor.shape[0] if tensor.ndim else 0 for name, tensor in tensors.items()}
    n_frames = counts["means"]
    if n_frames == 0 or set(counts.values()) != {n_frames}:
        raise InvalidInput(
            "bad_gaussians",
            f"a batch has the same number of frames in all, at least one; found {counts}",
        )
    return n_frames
