"""Puts the square render back into the capture-size frame, over plate, colour or nothing."""

from math import ceil, floor
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from shared.errors import InvalidInput

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

FEATHER = 0.04
"""Width of the soft border, as a share of the window's side."""
NEARLY_ONE = 0.02
"""Below this change of size the render is made at the window's own size, not resampled."""


class Window(NamedTuple):
    """The part of the frame that the avatar fills, and the camera that draws it."""

    left: int
    """Pixels of the frame; may be negative."""
    top: int
    side: int
    """Pixels of the frame, a square."""
    render_side: int
    """Pixels of the square that the rasterizer draws."""
    K: Tensor  # [3, 3] intrinsics of that square


def place_window(
    crop: tuple[float, float, float], K: Tensor, crop_size: int, scale: float
) -> Window:
    """Align the crop with the frame's pixels.

    The square is drawn at the size the avatar was trained at, since the rasterizer's low-pass
    filter belongs to it, and resampled. A crop between pixels needs no resampling: the principal
    point moves instead.

    Args:
        crop: Left, top, side in capture pixels.
        K: Intrinsics of the crop. [3, 3]
        crop_size: Side of the crop as trained, in its own pixels.
        scale: Frame pixels per capture pixel.
    """
    left, top, length = (scale * value for value in crop)
    x, y = floor(left + 1e-3), floor(top + 1e-3)
    side = max(ceil(left + length - 1e-3) - x, ceil(top + length - 1e-3) - y)
    enlargement = length / crop_size
    is_same = abs(enlargement - 1) < NEARLY_ONE
    render_side = side if is_same else max(1, round(side / enlargement))
    # A crop pixel u lies at left + u * enlargement in the frame, thus in the drawn square at
    # (left + u * enlargement - x) * render_side / side.
    factor = render_side / side
    drawn = K.clone()
    drawn[:2] = drawn[:2] * (enlargement * factor)
    drawn[0, 2] += (left - x) * factor
    drawn[1, 2] += (top - y) * factor
    return Window(x, y, side, render_side, drawn)


def border_weights(window: Window, width: int, height: int) -> F32:
    """1 inside, falling to 0 on those sides of the window that lie inside the frame.

    Returns:
        Weight of the render against what is around it. [side, side]
    """
    ramp = max(FEATHER * window.side, 1.0)
    inside = (np.arange(window.side) + 0.5) / ramp
    ahead = np.clip(inside, 0, 1)  # from the low side
    back = ahead[::-1]
    ones = np.ones_like(ahead)
    column = (ahead if window.left > 0 else ones) * (
        back if window.left + window.side < width else ones
    )
    row = (ahead if window.top > 0 else ones) * (
        back if window.top + window.side < height else ones
    )
    smooth = (np.square(edge) * (3 - 2 * edge) for edge in (row, column))
    return np.asarray(np.outer(*smooth), dtype=np.float32)


def paint(
    frame: U8, plate: U8 | None, window: Window, weights: F32, render: tuple[Tensor, Tensor]
) -> None:
    """Draw one render into ``frame``, whose surroundings stay as they are.

    Args:
        frame: The output, changed in place. [H, W, 3], or 4 channels with straight alpha
        plate: What shines through, as large as the frame; None with an alpha channel.
        window: Where.
        weights: From ``border_weights``. [side, side]
        render: Colours over black [S, S, 3] and alpha [S, S], in [0, 1].
    """
    colors, alpha = render
    if colors.shape[0] != window.side:
        colors, alpha = _resample(colors, alpha, window.side)
    height, width = frame.shape[:2]
    x0, y0 = max(window.left, 0), max(window.top, 0)
    x1, y1 = min(window.left + window.side, width), min(window.top + window.side, height)
    if x1 <= x0 or y1 <= y0:
        raise InvalidInput(
            "bad_crop", f"the crop {window[:3]} is outside of the {width}x{height} frame"
        )
    arrays = (np.ascontiguousarray(colors.numpy()), alpha.numpy(), weights)
    place = (x0, y0, x1, y1, window.left, window.top)
    if plate is None:
        _paint_alpha(frame, *arrays, *place)
    else:
        _paint_over(frame, plate, *arrays, *place)


def _resample(colors: Tensor, alpha: Tensor, side: int) -> tuple[Tensor, Tensor]:
    planes = torch.cat([colors.permute(2, 0, 1), alpha[None]])[None]  # [1, 4, S, S]
    resized = interpolate(
        planes, size=(side, side), mode="bicubic", antialias=side < colors.shape[0]
    )[0].clamp_(0, 1)
    return resized[:3].permute(1, 2, 0).contiguous(), resized[3].contiguous()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types
def _paint_over(  # noqa: PLR0913, PLR0917 - a kernel takes plain arrays and numbers
    frame: U8, plate: U8, colors: F32, alpha: F32, weights: F32,
    x0: int, y0: int, x1: int, y1: int, left: int, top: int,
) -> None:  # fmt: skip
    # Rows are worked through flat, with the weights spread to the channels first: that way LLVM
    # uses vector instructions, three times as fast.
    width = x1 - x0
    gain = np.empty(3 * width, np.float32)
    through = np.empty(3 * width, np.float32)
    for y in range(y0, y1):
        row = y - top
        for column in range(width):
            weight = weights[row, x0 - left + column]
            clear = np.float32(1) - weight * alpha[row, x0 - left + column]
            for channel in range(3):
                gain[3 * column + channel] = np.float32(255) * weight
                through[3 * column + channel] = clear
        drawn = colors[row].reshape(-1)[3 * (x0 - left) : 3 * (x1 - left)]
        behind = plate[y].reshape(-1)[3 * x0 : 3 * x1]
        out = frame[y].reshape(-1)[3 * x0 : 3 * x1]
        for i in range(3 * width):
            value = gain[i] * drawn[i] + through[i] * np.float32(behind[i])
            # Learned colours may leave [0, 1].
            value = min(max(value + np.float32(0.5), np.float32(0)), np.float32(255))
            out[i] = np.uint8(np.int32(value))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types
def _paint_alpha(  # noqa: PLR0913, PLR0917 - a kernel takes plain arrays and numbers
    frame: U8, colors: F32, alpha: F32, weights: F32,
    x0: int, y0: int, x1: int, y1: int, left: int, top: int,
) -> None:  # fmt: skip
    for y in range(y0, y1):
        for x in range(x0, x1):
            row, column = y - top, x - left
            solid = max(alpha[row, column], np.float32(1e-4))
            for channel in range(3):
                value = np.float32(255) * colors[row, column, channel] / solid
                value = min(max(value + np.float32(0.5), np.float32(0)), np.float32(255))
                frame[y, x, channel] = np.uint8(np.int32(value))
            cover = np.float32(255) * weights[row, column] * alpha[row, column]
            frame[y, x, 3] = np.uint8(np.int32(min(cover + np.float32(0.5), np.float32(255))))
