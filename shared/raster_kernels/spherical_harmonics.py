"""Colours that depend on the direction of view: real spherical harmonics up to degree 3.

Basis and signs are those of 3D Gaussian Splatting (Kerbl et al. 2023) and gsplat. One pass over
memory for all coefficients, forward and backward, with the gradient in the directions too.
"""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from shared.errors import InvalidInput
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.teamwork import work_together

INLINED = "504cec2dc20d316d"
"""Start of the SHA-256 of ``sharing.py``; see ``passes.py``."""

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc"}
MAX_DEGREE = 3
N_BASIS = 16
SHARE = 512  # Gaussians that a thread takes at a time

C0 = np.float32(0.28209479177387814)
C1 = np.float32(0.4886025119029199)
C20 = np.float32(1.0925484305920792)
C22 = np.float32(0.31539156525252005)
C24 = np.float32(0.5462742152960396)
C30 = np.float32(0.5900435899266435)
C31 = np.float32(2.890611442640554)
C32 = np.float32(0.4570457994644658)
C33 = np.float32(0.3731763325901154)
C35 = np.float32(1.445305721320277)


def spherical_harmonics(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """Colours seen from ``directions``; differentiable in both arguments.

    Args:
        degree: 0 to 3; coefficients of higher degrees are ignored.
        directions: From the camera to each Gaussian, any length above 0. [N, 3]
        coefficients: Channel by channel. [N, K, 3], K at least (degree + 1)^2

    Returns:
        Without the offset of 0.5 that RGB usually gets, not clamped. [N, 3]

    Raises:
        InvalidInput: ``bad_harmonics``.
    """
    n = directions.shape[0] if directions.ndim else 0
    n_needed = (degree + 1) ** 2
    is_right = (
        0 <= degree <= MAX_DEGREE
        and tuple(directions.shape) == (n, 3)
        and coefficients.ndim == 3  # noqa: PLR2004 - [N, K, 3]
        and tuple(coefficients.shape[::2]) == (n, 3)
        and coefficients.shape[1] >= n_needed
    )
    is_readable = all(
        t.dtype == torch.float32 and t.device.type == "cpu" for t in (directions, coefficients)
    )
    if not (is_right and is_readable):
        raise InvalidInput(
            "bad_harmonics",
            f"degree {degree}, directions {list(directions.shape)} {directions.dtype}, "
            f"coefficients {list(coefficients.shape)} {coefficients.dtype}; expected "
            "degree 0 to 3, [N, 3] and [N, (degree + 1)^2 or more, 3], torch.float32 on cpu",
        )
    colors: Tensor = _SphericalHarmonics.apply(n_needed, directions, coefficients)
    return colors


class _SphericalHarmonics(torch.autograd.Function):
    """The kernels with torch's book-keeping."""

    @staticmethod
    def forward(ctx: Any, n_basis: int, directions: Tensor, coefficients: Tensor) -> Tensor:
        ctx.n_basis = n_basis
        ctx.save_for_backward(directions, coefficients)
        colors = torch.empty(directions.shape[0], 3)
        work_together(
            evaluate_together,
            1,
            n_basis,
            directions.detach().contiguous().numpy(),
            coefficients.detach().contiguous().numpy(),
            colors.numpy(),
        )
        return colors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, v_colors: Tensor) -> tuple[None, Tensor, Tensor]:
        directions, coefficients = ctx.saved_tensors
        v_directions, v_coefficients = (
            torch.empty(directions.shape),
            torch.empty(coefficients.shape),
        )
        work_together(
            evaluate_backward_together,
            1,
            ctx.n_basis,
            directions.detach().contiguous().numpy(),
            coefficients.detach().contiguous().numpy(),
            v_colors.contiguous().numpy(),
            v_directions.numpy(),
            v_coefficients.numpy(),
        )
        return None, v_directions, v_coefficients


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def fill_basis(x, y, z, basis):
    """The sixteen functions at a unit vector. basis: written [16]"""
    two, three, four = np.float32(2), np.float32(3), np.float32(4)
    xx, yy, zz = x * x, y * y, z * z
    basis[0] = C0
    basis[1] = -C1 * y
    basis[2] = C1 * z
    basis[3] = -C1 * x
    basis[4] = C20 * x * y
    basis[5] = -C20 * y * z
    basis[6] = C22 * (two * zz - xx - yy)
    basis[7] = -C20 * x * z
    basis[8] = C24 * (xx - yy)
    basis[9] = -C30 * y * (three * xx - yy)
    basis[10] = C31 * x * y * z
    basis[11] = -C32 * y * (four * zz - xx - yy)
    basis[12] = C33 * z * (two * zz - three * xx - three * yy)
    basis[13] = -C32 * x * (four * zz - xx - yy)
    basis[14] = C35 * z * (xx - yy)
    basis[15] = -C30 * x * (xx - three * yy)


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def pull_back(x, y, z, v):
    """Gradient in the unit vector from the gradients ``v`` [16] in the basis."""
    two, three, four, six, eight = (
        np.float32(2),
        np.float32(3),
        np.float32(4),
        np.float32(6),
        np.float32(8),
    )
    xx, yy, zz = x * x, y * y, z * z
    vx = -C1 * v[3] + C20 * (y * v[4] - z * v[7]) + two * x * (C24 * v[8] - C22 * v[6])
    vy = -C1 * v[1] + C20 * (x * v[4] - z * v[5]) - two * y * (C24 * v[8] + C22 * v[6])
    vz = C1 * v[2] - C20 * (y * v[5] + x * v[7]) + four * z * C22 * v[6]
    vx += -six * C30 * x * y * v[9] + C31 * y * z * v[10] + two * C32 * x * y * v[11]
    vx += -six * C33 * x * z * v[12] - C32 * (four * zz - three * xx - yy) * v[13]
    vx += two * C35 * x * z * v[14] - three * C30 * (xx - yy) * v[15]
    vy += -three * C30 * (xx - yy) * v[9] + C31 * x * z * v[10]
    vy += -C32 * (four * zz - xx - three * yy) * v[11] - six * C33 * y * z * v[12]
    vy += two * C32 * x * y * v[13] - two * C35 * y * z * v[14] + six * C30 * x * y * v[15]
    vz += C31 * x * y * v[10] - eight * C32 * z * (y * v[11] + x * v[13])
    vz += three * C33 * (two * zz - xx - yy) * v[12] + C35 * (xx - yy) * v[14]
    return vx, vy, vz


@njit(fastmath=FLAGS, error_model="numpy")
def evaluate(counter, n_basis, directions, coefficients, colors):
    """Fill ``colors`` [N, 3]."""
    n = directions.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
            scale = np.float32(1) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-24)))
            basis = np.empty(N_BASIS, np.float32)
            fill_basis(x * scale, y * scale, z * scale, basis)
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for k in range(n_basis):
                red += basis[k] * coefficients[i, k, 0]
                green += basis[k] * coefficients[i, k, 1]
                blue += basis[k] * coefficients[i, k, 2]
            colors[i, 0] = red
            colors[i, 1] = green
            colors[i, 2] = blue
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(fastmath=FLAGS, error_model="numpy")
def evaluate_backward(
    counter, n_basis, directions, coefficients, v_colors, v_directions, v_coefficients
):
    """Fill ``v_directions`` [N, 3] and ``v_coefficients`` [N, K, 3]."""
    n = directions.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
            scale = np.float32(1) / np.sqrt(max(x * x + y * y + z * z, np.float32(1e-24)))
            x, y, z = x * scale, y * scale, z * scale
            basis = np.empty(N_BASIS, np.float32)
            v_basis = np.zeros(N_BASIS, np.float32)
            fill_basis(x, y, z, basis)
            red, green, blue = v_colors[i, 0], v_colors[i, 1], v_colors[i, 2]
            for k in range(n_basis):
                v_coefficients[i, k, 0] = basis[k] * red
                v_coefficients[i, k, 1] = basis[k] * green
                v_coefficients[i, k, 2] = basis[k] * blue
                v_basis[k] = (
                    coefficients[i, k, 0] * red
                    + coefficients[i, k, 1] * green
                    + coefficients[i, k, 2] * blue
                )
            for k in range(n_basis, coefficients.shape[1]):
                for channel in range(3):
                    v_coefficients[i, k, channel] = 0
            vx, vy, vz = pull_back(x, y, z, v_basis)
            # Only what turns the direction counts: its length was divided out.
            along = vx * x + vy * y + vz * z
            v_directions[i, 0] = (vx - along * x) * scale
            v_directions[i, 1] = (vy - along * y) * scale
            v_directions[i, 2] = (vz - along * z) * scale
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(parallel=True, nogil=True, cache=True)
def evaluate_together(n_threads, counters, n_basis, directions, coefficients, colors):
    """``evaluate`` on several threads."""
    for _ in prange(n_threads):
        evaluate(counters[0], n_basis, directions, coefficients, colors)


@njit(parallel=True, nogil=True, cache=True)
def evaluate_backward_together(
    n_threads,
    counters,
    n_basis,
    directions,
    coefficients,
    v_colors,
    v_directions,
    v_coefficients,
):
    """``evaluate_backward`` on several threads."""
    for _ in prange(n_threads):
        evaluate_backward(
            counters[0],
            n_basis,
            directions,
            coefficients,
            v_colors,
            v_directions,
            v_coefficients,
        )
