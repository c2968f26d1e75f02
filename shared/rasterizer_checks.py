"""What every rasterizer refuses, in the same words."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians, Surfels

MAX_SIDE = 16384
"""Pixels; beyond it float32 positions get coarse."""


class View(NamedTuple):
    """A checked camera."""

    rotation: list[list[float]]  # [3][3]
    translation: list[float]  # [3]
    focal: tuple[float, float]  # px
    centre: tuple[float, float]  # px


def check_gaussians(gaussians: Gaussians | Surfels) -> None:
    """Refuse wrong types and shapes.

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
    n = gaussians.means.shape[0] if gaussians.means.ndim else 0
    n_channels = gaussians.colors.shape[-1] if gaussians.colors.ndim else 0
    n_scales = 2 if isinstance(gaussians, Surfels) else 3
    shapes = [(n, 3), (n, 4), (n, n_scales), (n,), (n, max(n_channels, 1))]
    for (name, tensor), shape in zip(gaussians._asdict().items(), shapes, strict=True):
        if tuple(tensor.shape) != shape:
            raise InvalidInput(
                "bad_gaussians", f"{name} is {list(tensor.shape)}, expected {list(shape)}"
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


def check_camera(viewmat: Tensor, K: Tensor, width: int, height: int) -> View:
    """Refuse what is no pinhole camera, and read it.

    Raises:
        InvalidInput: ``bad_camera``.
    """
    if tuple(viewmat.shape) != (4, 4) or tuple(K.shape) != (3, 3):
        raise InvalidInput(
            "bad_camera",
            f"viewmat is {list(viewmat.shape)} and K {list(K.shape)}; expected [4, 4] and [3, 3]",
        )
    if viewmat.requires_grad or K.requires_grad:
        raise InvalidInput(
            "bad_camera", "the camera has no gradient here; move the Gaussians instead"
        )
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidInput("bad_camera", f"cannot draw {width}x{height}; 1 to {MAX_SIDE} px a side")
    (fx, skew, cx), (_, fy, cy), _ = K.detach().cpu().tolist()
    rows = viewmat.detach().cpu()
    is_finite = bool(rows[:3].isfinite().all()) and all(map(math.isfinite, (fx, fy, cx, cy)))
    if not (is_finite and fx > 0 and fy > 0 and skew == 0):
        raise InvalidInput("bad_camera", "K needs positive focal lengths, no skew, finite numbers")
    return View(rows[:3, :3].tolist(), rows[:3, 3].tolist(), (fx, fy), (cx, cy))


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
