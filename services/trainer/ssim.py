"""SSIM of two images with its exact gradient, fused in Numba: the training loss's costly half.

Wang et al. 2004; window 11, sigma 1.5, zero padding at the border as in the 3D Gaussian
Splatting loss. The evaluator's ``ssim`` metric is separate, on purpose: it judges what this
optimises.
"""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

RADIUS = 5
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2

F32 = NDArray[np.float32]


def gaussian_window() -> F32:
    """The 11 taps of the window, sum 1."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return (taps / taps.sum()).astype(np.float32)


class _Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:  # noqa: ANN401 - torch's context is untyped
        height, width, channels = image.shape
        x = image.detach().contiguous().numpy().reshape(height, width * channels)
        y = target.detach().contiguous().numpy().reshape(height, width * channels)
        rows, partials, gradient = (np.empty((n, *x.shape), np.float32) for n in (5, 3, 1))
        sums = np.empty(height, np.float64)
        taps = gaussian_window()
        _filter_rows(x, y, taps, channels, rows)
        _compare(rows, taps, partials, sums)
        if ctx.needs_input_grad[0]:
            _filter_columns(partials, taps, rows[:3])
            _gather_gradient(x, y, taps, channels, rows[:3], gradient[0])
            ctx.gradient = torch.from_numpy(gradient[0].reshape(height, width, channels))
        return torch.tensor(sums.sum() / x.size, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.gradient * (gradients[0] / ctx.gradient.numel()), None


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity, differentiable in ``image``.

    Args:
        image: Float32 in [0, 1]. [H, W, C]
        target: The same.
    """
    value: Tensor = _Ssim.apply(image, target)  # type: ignore[no-untyped-call]  # torch's own
    return value


@njit(fastmath=True, cache=True, error_model="numpy", inline="always")
def _convolve(source: F32, taps: F32, step: int, out: F32) -> None:
    """Symmetric 11-tap filter of one padded row.

    Taps in scalars and one slice per tap: an index that may be negative keeps LLVM from
    vectorising over u.
    """
    n = out.shape[0]
    t0, t1, t2, t3, t4, t5 = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    a0, b0 = source[:n], source[10 * step :]
    a1, b1 = source[step:], source[9 * step :]
    a2, b2 = source[2 * step :], source[8 * step :]
    a3, b3 = source[3 * step :], source[7 * step :]
    a4, b4 = source[4 * step :], source[6 * step :]
    middle = source[5 * step :]
    for u in range(n):
        out[u] = (
            t0 * (a0[u] + b0[u])
            + t1 * (a1[u] + b1[u])
            + t2 * (a2[u] + b2[u])
            + t3 * (a3[u] + b3[u])
            + t4 * (a4[u] + b4[u])
            + t5 * middle[u]
        )


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _filter_rows(x: F32, y: F32, taps: F32, step: int, rows: F32) -> None:
    """Horizontal pass over x, y, xx, yy, xy of interleaved channels."""
    height, width = x.shape
    pad = RADIUS * step
    for v in prange(height):
        wide = np.zeros((5, width + 2 * pad), np.float32)
        inner = wide[:, pad : pad + width]
        for u in range(width):
            a, b = x[v, u], y[v, u]
            inner[0, u] = a
            inner[1, u] = b
            inner[2, u] = a * a
            inner[3, u] = b * b
            inner[4, u] = a * b
        for m in range(5):
            _convolve(wide[m], taps, step, rows[m, v])


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _compare(rows: F32, taps: F32, partials: F32, sums: NDArray[np.float64]) -> None:
    """Vertical pass, then SSIM and its partial derivatives by mean, square and product of x."""
    height, width = rows.shape[1:]
    c1, c2 = np.float32(C1), np.float32(C2)
    for v in prange(height):
        local = np.zeros((5, width), np.float32)
        for k in range(11):
            row = v + k - RADIUS
            if row < 0 or row >= height:
                continue
            tap = taps[k]
            for m in range(5):
                for u in range(width):
                    local[m, u] += tap * rows[m, row, u]
        total = np.float32(0)
        for u in range(width):
            mx, my = local[0, u], local[1, u]
            a1 = 2 * mx * my + c1
            a2 = 2 * (local[4, u] - mx * my) + c2
            b1 = mx * mx + my * my + c1
            b2 = local[2, u] - mx * mx + local[3, u] - my * my + c2
            inverse = 1 / (b1 * b2)
            value = a1 * a2 * inverse
            total += value
            partials[0, v, u] = 2 * my * (a2 - a1) * inverse - 2 * mx * value * (b2 - b1) * inverse
            partials[1, v, u] = -value / b2  # by the mean of x^2
            partials[2, v, u] = 2 * a1 * inverse  # by the mean of x y
        sums[v] = total


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _filter_columns(partials: F32, taps: F32, out: F32) -> None:
    height, width = partials.shape[1:]
    for v in prange(height):
        for m in range(3):
            for u in range(width):
                out[m, v, u] = 0
        for k in range(11):
            row = v + k - RADIUS
            if row < 0 or row >= height:
                continue
            tap = taps[k]
            for m in range(3):
                for u in range(width):
                    out[m, v, u] += tap * partials[m, row, u]


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _gather_gradient(  # noqa: PLR0917 - a compiled kernel takes plain arguments
    x: F32, y: F32, taps: F32, step: int, columns: F32, out: F32
) -> None:
    """Horizontal pass over the partials; the chain rule joins them at each pixel."""
    height, width = x.shape
    pad = RADIUS * step
    for v in prange(height):
        wide = np.zeros((3, width + 2 * pad), np.float32)
        wide[:, pad : pad + width] = columns[:, v]
        smooth = np.empty((3, width), np.float32)
        for m in range(3):
            _convolve(wide[m], taps, step, smooth[m])
        for u in range(width):
            out[v, u] = smooth[0, u] + 2 * x[v, u] * smooth[1, u] + y[v, u] * smooth[2, u]
