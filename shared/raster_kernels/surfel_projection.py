"""Projects surfels to what a pixel needs of them (2DGS, Huang et al. 2024, gsplat's conventions).

With (x, y, z) a surfel's centre in camera space, t_u, t_v, n its axes and normal there and s_u, s_v
its scales, the ray of the pixel that lies (X, Y) px off the projected centre meets its plane at

    u = (U1 X + U2 Y) / w,  v = (V1 X + V2 Y) / w,  w = 1 + H1 X + H2 Y,

    k = n.(x/z, y/z, 1)                      how much it faces the camera
    U1 =  z (t_v.y - y/z t_v.z) / (s_u f_x k)   U2 = -z (t_v.x - x/z t_v.z) / (s_u f_y k)
    V1 = -z (t_u.y - y/z t_u.z) / (s_v f_x k)   V2 =  z (t_u.x - x/z t_u.z) / (s_v f_y k)
    H1 = n.x / (f_x k)                          H2 = n.y / (f_y k).

That is the paper's cross product of two homogeneous planes, relative to the centre, so that nothing
cancels for small or far surfels; z / w is the depth of the hit.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.projection import (
    FAR,
    LOG8_E,
    LOG8_THRESHOLD,
    NEAR,
    SHARE,
    SMALLEST,
)
from shared.raster_kernels.quaternions import rotation_of
from shared.raster_kernels.sharing import finish_one, take_next, wait_for

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc"}  # NaN and infinity stay meaningful

SURFEL_WIDTH = 20
# Columns: 0 x, 1 y (px) of the centre; 2 U1, 3 U2, 4 V1, 5 V2, 6 H1, 7 H2 (px^-1); 8 x, 9 y (px)
# of the low-pass; 10 log2(opacity)/8; 11 depth (m); 12, 13, 14 normal (world, to the camera);
# 15 x, 16 y (px) and 17, 18, 19 the quadratic form a dx^2 + b dx dy + c dy^2 <= 1 of an ellipse
# around all pixels where alpha >= 1/255.

STEEPEST = np.float32(1e-8)  # of k: nearer to edge-on than this, only the low-pass is seen
THINNEST = np.float32(1e-12)  # m, of scales, likewise
LARGEST = np.float32(1e12)  # of U1 to V2: their squares over a picture stay finite


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def away_from_zero(value, least):
    """The value, or ``least`` with its sign."""
    return np.copysign(max(abs(value), least), value)


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def bounded(value):
    """The value between plus and minus ``LARGEST``."""
    return min(max(value, -LARGEST), LARGEST)


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def skip_surfel(rects, i):
    """Mark ``i`` as not drawn."""
    rects[i, 0] = 1
    rects[i, 1] = 0
    rects[i, 2] = 1
    rects[i, 3] = 0


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def outline_surfel(surfels, rects, i, form, reach, width, height):
    """Fill the ellipse of row ``i`` and the tiles it touches.

    Args:
        surfels: Columns 0 to 9 are there. [N, 20]
        rects: Written. [N, 4]
        i: The surfel.
        form: A, B, C, D, E, F, z: columns of the homogeneous map (u, v, 1) -> pixel about the
            projected centre, ((A, B, 0), (C, D, 0), (E, F, z)).
        reach: u^2 + v^2 where alpha is 1/255.
        width: px
        height: px
    """
    a, b, c, d, e, f, z = form
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    # The box of the projected disc u^2 + v^2 <= reach, by its dual conic.
    scale = reach / (z * z - reach * (e * e + f * f))
    shift_x, shift_y = -scale * (a * e + b * f), -scale * (c * e + d * f)
    xx = shift_x * shift_x + scale * (a * a + b * b)
    yy = shift_y * shift_y + scale * (c * c + d * d)
    xy = shift_x * shift_y + scale * (a * c + b * d)
    x, y = surfels[i, 0] + shift_x, surfels[i, 1] + shift_y
    # The low-passed surfel reaches as far as a circle; widen the ellipse until it is inside.
    off_x, off_y = surfels[i, 8] - x, surfels[i, 9] - y
    radius = np.sqrt(half * reach) + np.sqrt(off_x * off_x + off_y * off_y)
    skew = np.sqrt((xx - yy) * (xx - yy) + np.float32(4) * xy * xy)
    thin = half * (xx + yy - skew)
    wider = max(radius * radius - max(thin, np.float32(0)), np.float32(0))
    xx, yy = xx + wider, yy + wider
    det = xx * yy - xy * xy
    extent_x, extent_y = np.sqrt(xx), np.sqrt(yy)
    # Comparisons in floats first: casting a huge float to an integer is undefined.
    left = max(np.ceil(x - extent_x - half), np.float32(0))
    right = min(np.floor(x + extent_x - half), np.float32(width - 1))
    top = max(np.ceil(y - extent_y - half), np.float32(0))
    bottom = min(np.floor(y + extent_y - half), np.float32(height - 1))
    surfels[i, 15] = x
    surfels[i, 16] = y
    surfels[i, 17] = yy / det
    surfels[i, 18] = -two * xy / det
    surfels[i, 19] = xx / det
    # Each comparison is false for NaN, so a surfel that overflowed is not drawn.
    is_drawn = left <= right and top <= bottom and 0 < det < np.inf
    if is_drawn and 0 < surfels[i, 17] * one < np.inf and 0 < surfels[i, 19] < np.inf:
        rects[i, 0] = np.int32(left) >> 4
        rects[i, 1] = np.int32(right) >> 4
        rects[i, 2] = np.int32(top) >> 4
        rects[i, 3] = np.int32(bottom) >> 4
    else:
        skip_surfel(rects, i)


@njit(fastmath=FLAGS, error_model="numpy")
def project_surfels(
    counter, means, quats, scales, opacities, camera, width, height, surfels, rects, bad
):
    """Fill ``surfels`` and ``rects``.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        means: World space, m. [N, 3]
        quats: wxyz. [N, 4]
        scales: Standard deviations along the first two axes, m. [N, 2]
        opacities: [N]
        camera: Rotation (9, row by row), translation (3), fx, fy, cx, cy. [16] float32
        width: Image width in pixels.
        height: Image height in pixels.
        surfels: Written. [N, 20]
        rects: Written. [N, 4] int16
        bad: Set to 1 where a parameter is not finite or a quaternion is zero. [N] uint8
    """
    zero, one = np.float32(0), np.float32(1)
    r00, r01, r02, r10, r11, r12 = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    r20, r21, r22, o0, o1, o2 = camera[6], camera[7], camera[8], camera[9], camera[10], camera[11]
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    n = means.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
            s_u, s_v = scales[i, 0], scales[i, 1]
            length = abs(quats[i, 0]) + abs(quats[i, 1]) + abs(quats[i, 2]) + abs(quats[i, 3])
            total = abs(m0) + abs(m1) + abs(m2) + abs(s_u) + abs(s_v) + length + abs(opacities[i])
            bad[i] = not (total < np.inf and length > zero)
            x = r00 * m0 + r01 * m1 + r02 * m2 + o0
            y = r10 * m0 + r11 * m1 + r12 * m2 + o1
            z = r20 * m0 + r21 * m1 + r22 * m2 + o2
            q00, q01, q02, q10, q11, q12, q20, q21, q22 = rotation_of(quats, i)
            ux = r00 * q00 + r01 * q10 + r02 * q20
            uy = r10 * q00 + r11 * q10 + r12 * q20
            uz = r20 * q00 + r21 * q10 + r22 * q20
            vx = r00 * q01 + r01 * q11 + r02 * q21
            vy = r10 * q01 + r11 * q11 + r12 * q21
            vz = r20 * q01 + r21 * q11 + r22 * q21
            nx = r00 * q02 + r01 * q12 + r02 * q22
            ny = r10 * q02 + r11 * q12 + r12 * q22
            nz = r20 * q02 + r21 * q12 + r22 * q22
            log8_opacity = np.log2(max(opacities[i], SMALLEST)) * np.float32(0.125)
            reach = (log8_opacity - LOG8_THRESHOLD) * (np.float32(2) / LOG8_E)
            e, f = s_u * uz, s_v * vz
            sag = e * e + f * f
            nearest = z - np.sqrt(max(reach, one) * sag)
            surfels[i, 11] = z
            # False for NaN too.
            if not (reach > zero and NEAR < z < FAR and nearest > NEAR):
                skip_surfel(rects, i)
                continue
            slope_x, slope_y = x / z, y / z
            facing = nx * slope_x + ny * slope_y + nz
            k = one / away_from_zero(facing, STEEPEST)
            qu, pu = vx - slope_x * vz, vy - slope_y * vz
            qv, pv = ux - slope_x * uz, uy - slope_y * uz
            along_u = z * k / away_from_zero(s_u, THINNEST)
            along_v = z * k / away_from_zero(s_v, THINNEST)
            surfels[i, 0] = fx * slope_x + cx
            surfels[i, 1] = fy * slope_y + cy
            surfels[i, 2] = bounded(along_u * pu / fx)
            surfels[i, 3] = bounded(-along_u * qu / fy)
            surfels[i, 4] = bounded(-along_v * pv / fx)
            surfels[i, 5] = bounded(along_v * qv / fy)
            surfels[i, 6] = nx * k / fx
            surfels[i, 7] = ny * k / fy
            a, b, c, d = fx * s_u * qv, fx * s_v * qu, fy * s_u * pv, fy * s_v * pu
            span = one / (z * z - sag)
            surfels[i, 8] = surfels[i, 0] - (a * e + b * f) * span
            surfels[i, 9] = surfels[i, 1] - (c * e + d * f) * span
            surfels[i, 10] = log8_opacity
            towards = one if facing < zero else -one
            surfels[i, 12] = towards * q02
            surfels[i, 13] = towards * q12
            surfels[i, 14] = towards * q22
            outline_surfel(surfels, rects, i, (a, b, c, d, e, f, z), reach, width, height)
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)
