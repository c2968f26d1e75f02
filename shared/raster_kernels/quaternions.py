"""Rotation matrices of quaternions, and their derivative, one at a time inside kernels."""

import numpy as np
from numba import njit

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc"}  # NaN and infinity stay meaningful


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def rotation_of(quats, i):
    """Rotation matrix rows of quaternion ``i`` (wxyz, any length above 0)."""
    w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    scale = np.float32(1) / np.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * scale, x * scale, y * scale, z * scale
    one, two = np.float32(1), np.float32(2)
    return (
        one - two * (y * y + z * z),
        two * (x * y - w * z),
        two * (x * z + w * y),
        two * (x * y + w * z),
        one - two * (x * x + z * z),
        two * (y * z - w * x),
        two * (x * z - w * y),
        two * (y * z + w * x),
        one - two * (x * x + y * y),
    )


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def rotation_gradient(quats, i, g00, g01, g02, g10, g11, g12, g20, g21, g22):
    """Gradient in quaternion ``i`` from that in the rotation matrix. -> w, x, y, z"""
    one, two = np.float32(1), np.float32(2)
    qw, qx, qy, qz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    inverse_length = one / np.sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
    qw, qx = qw * inverse_length, qx * inverse_length
    qy, qz = qy * inverse_length, qz * inverse_length
    dw = two * (qx * (g21 - g12) + qy * (g02 - g20) + qz * (g10 - g01))
    dx = two * (qw * (g21 - g12) + qy * (g01 + g10) + qz * (g02 + g20) - two * qx * (g11 + g22))
    dy = two * (qw * (g02 - g20) + qx * (g01 + g10) + qz * (g12 + g21) - two * qy * (g00 + g22))
    dz = two * (qw * (g10 - g01) + qx * (g02 + g20) + qy * (g12 + g21) - two * qz * (g00 + g11))
    # The matrix is that of the normalised quaternion.
    along = qw * dw + qx * dx + qy * dy + qz * dz
    return (
        (dw - along * qw) * inverse_length,
        (dx - along * qx) * inverse_length,
        (dy - along * qy) * inverse_length,
        (dz - along * qz) * inverse_length,
    )
