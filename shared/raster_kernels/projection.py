"""Projects 3D Gaussians to 2D splats (EWA, Zwicker et al. 2001, with gsplat's conventions).

A splat is one row of ``splats`` [N, 8]: the columns named below. Its exponent is held in units of
log2/8, so that alpha = (2^p)^8 with p between -1 and 0: a short polynomial and three squarings
replace ``exp`` for every pixel.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.quaternions import rotation_gradient, rotation_of
from shared.raster_kernels.sharing import finish_one, take_next, wait_for

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc"}  # NaN and infinity stay meaningful

SPLAT_WIDTH = 8
# Columns: 0 x, 1 y (px); 2, 3, 4 the quadratic form q = a dx^2 + b dx dy + c dy^2;
# 5 log2(opacity)/8; 6 the value of q where alpha falls to 1/255; 7 depth (m).

LOW_PASS = np.float32(0.3)  # px^2, added to the 2D covariance
NEAR = np.float32(0.01)  # m, gsplat's near plane
FAR = np.float32(1e10)  # m
LOG8_E = np.float32(1.4426950408889634 / 8)  # one nat in exponent units
LOG8_THRESHOLD = np.float32(-7.99435343685886 / 8)  # log2(1/255)/8
TILE = 16  # px
SHARE = 512  # Gaussians that a thread takes at a time
SMALLEST = np.float32(1e-30)  # an opacity that has a logarithm and is never drawn


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def write_splat(
    splats, rects, i, x, y, cov_xx, cov_xy, cov_yy, inverse_det, opacity, depth, width, height
):
    """Fill row ``i`` and the tiles it touches; the bounds are those of alpha >= 1/255."""
    half = np.float32(0.5)
    conic_xx, conic_xy, conic_yy = cov_yy * inverse_det, -cov_xy * inverse_det, cov_xx * inverse_det
    log8_opacity = np.log2(opacity) * np.float32(0.125)
    reach = log8_opacity - LOG8_THRESHOLD
    extent = max(reach, np.float32(0)) * (np.float32(2) / LOG8_E)
    extent_x, extent_y = np.sqrt(extent * cov_xx), np.sqrt(extent * cov_yy)
    # Comparisons in floats first: casting a huge float to an integer is undefined.
    left = max(np.ceil(x - extent_x - half), np.float32(0))
    right = min(np.floor(x + extent_x - half), np.float32(width - 1))
    top = max(np.ceil(y - extent_y - half), np.float32(0))
    bottom = min(np.floor(y + extent_y - half), np.float32(height - 1))
    # Each comparison is false for NaN, so a splat that overflowed is not drawn.
    is_drawn = reach > 0 and left <= right and top <= bottom
    is_drawn = is_drawn and 0 < conic_xx < np.inf and 0 < conic_yy < np.inf
    if is_drawn:
        rects[i, 0] = np.int32(left) >> 4
        rects[i, 1] = np.int32(right) >> 4
        rects[i, 2] = np.int32(top) >> 4
        rects[i, 3] = np.int32(bottom) >> 4
    else:
        rects[i, 0] = 1
        rects[i, 1] = 0
        rects[i, 2] = 1
        rects[i, 3] = 0
    splats[i, 0] = x
    splats[i, 1] = y
    splats[i, 2] = half * conic_xx * LOG8_E
    splats[i, 3] = conic_xy * LOG8_E
    splats[i, 4] = half * conic_yy * LOG8_E
    splats[i, 5] = log8_opacity
    splats[i, 6] = reach
    splats[i, 7] = depth


@njit(fastmath=FLAGS, error_model="numpy")
def prepare_splats(counter, means2d, conics, opacities, depths, width, height, splats, rects):
    """Fill ``splats`` and ``rects`` from Gaussians that are in the image plane already.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        means2d: Centres in pixels. [N, 2]
        conics: Inverse covariances xx, xy, yy in px^-2. [N, 3]
        opacities: [N]
        depths: Order of drawing, near first. [N]
        width: Image width in pixels.
        height: Image height in pixels.
        splats: Written. [N, 8]
        rects: Written. [N, 4] int16
    """
    n = means2d.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            xx, xy, yy = conics[i, 0], conics[i, 1], conics[i, 2]
            det = xx * yy - xy * xy
            inverse_det = np.float32(1) / det
            write_splat(
                splats,
                rects,
                i,
                means2d[i, 0],
                means2d[i, 1],
                yy * inverse_det,
                -xy * inverse_det,
                xx * inverse_det,
                det,
                max(opacities[i], SMALLEST),
                depths[i],
                width,
                height,
            )
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(fastmath=FLAGS, error_model="numpy")
def project(counter, means, quats, scales, opacities, camera, width, height, splats, rects, bad):
    """Fill ``splats`` and ``rects`` from 3D Gaussians.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        means: World space, m. [N, 3]
        quats: wxyz. [N, 4]
        scales: Standard deviations, m. [N, 3]
        opacities: [N]
        camera: Rotation (9, row by row), translation (3), fx, fy, cx, cy. [16] float32
        width: Image width in pixels.
        height: Image height in pixels.
        splats: Written. [N, 8]
        rects: Written. [N, 4] int16
        bad: Set to 1 where a parameter is not finite or a quaternion is zero. [N] uint8
    """
    zero, one = np.float32(0), np.float32(1)
    r00, r01, r02, r10, r11, r12 = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    r20, r21, r22, t0, t1, t2 = camera[6], camera[7], camera[8], camera[9], camera[10], camera[11]
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    width_px, height_px = np.float32(width), np.float32(height)
    margin_x = np.float32(0.15) * width_px / fx
    margin_y = np.float32(0.15) * height_px / fy
    left, right = -cx / fx - margin_x, (width_px - cx) / fx + margin_x
    top, bottom = -cy / fy - margin_y, (height_px - cy) / fy + margin_y
    n = means.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            length = abs(quats[i, 0]) + abs(quats[i, 1]) + abs(quats[i, 2]) + abs(quats[i, 3])
            total = (
                abs(m0)
                + abs(m1)
                + abs(m2)
                + abs(s0)
                + abs(s1)
                + abs(s2)
                + length
                + abs(opacities[i])
            )
            bad[i] = not (total < np.inf and length > zero)
            x = r00 * m0 + r01 * m1 + r02 * m2 + t0
            y = r10 * m0 + r11 * m1 + r12 * m2 + t1
            z = r20 * m0 + r21 * m1 + r22 * m2 + t2
            is_in_front = z > NEAR and z < FAR
            inverse_z = one / z if is_in_front else one
            slope_x = min(max(x * inverse_z, left), right)
            slope_y = min(max(y * inverse_z, top), bottom)
            jx, jy = fx * inverse_z, fy * inverse_z
            jxz, jyz = -jx * slope_x, -jy * slope_y
            # T = J R, the linear map from world offsets to pixels.
            t00, t01, t02 = jx * r00 + jxz * r20, jx * r01 + jxz * r21, jx * r02 + jxz * r22
            t10, t11, t12 = jy * r10 + jyz * r20, jy * r11 + jyz * r21, jy * r12 + jyz * r22
            q00, q01, q02, q10, q11, q12, q20, q21, q22 = rotation_of(quats, i)
            u0 = (t00 * q00 + t01 * q10 + t02 * q20) * s0
            u1 = (t00 * q01 + t01 * q11 + t02 * q21) * s1
            u2 = (t00 * q02 + t01 * q12 + t02 * q22) * s2
            v0 = (t10 * q00 + t11 * q10 + t12 * q20) * s0
            v1 = (t10 * q01 + t11 * q11 + t12 * q21) * s1
            v2 = (t10 * q02 + t11 * q12 + t12 * q22) * s2
            cov_xx = u0 * u0 + u1 * u1 + u2 * u2 + LOW_PASS
            cov_yy = v0 * v0 + v1 * v1 + v2 * v2 + LOW_PASS
            cov_xy = u0 * v0 + u1 * v1 + u2 * v2
            # Lagrange's identity: a sum of squares, so nothing cancels for needles.
            c01, c02, c12 = u0 * v1 - u1 * v0, u0 * v2 - u2 * v0, u1 * v2 - u2 * v1
            det = c01 * c01 + c02 * c02 + c12 * c12 + LOW_PASS * (cov_xx + cov_yy - LOW_PASS)
            inverse_det = one / det
            opacity = opacities[i] if is_in_front else zero
            write_splat(
                splats,
                rects,
                i,
                fx * x * inverse_z + cx,
                fy * y * inverse_z + cy,
                cov_xx,
                cov_xy,
                cov_yy,
                inverse_det,
                max(opacity, SMALLEST),
                z,
                width,
                height,
            )
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(fastmath=FLAGS, error_model="numpy")
def project_backward(
    counter,
    means,
    quats,
    scales,
    camera,
    width,
    height,
    splats,
    rects,
    v_means2d,
    v_conics,
    v_depths,
    v_means,
    v_quats,
    v_scales,
):
    """Gradients of the loss in the 3D parameters from those in the 2D ones.

    ``v_x`` is the gradient of the loss in ``x`` throughout. Rows that were not drawn become 0.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        means: As in ``project``, like ``quats`` to ``rects``. [N, 3]
        quats: [N, 4]
        scales: [N, 3]
        camera: [16]
        width: Image width in pixels.
        height: Image height in pixels.
        splats: [N, 8]
        rects: [N, 4]
        v_means2d: [N, 2]
        v_conics: [N, 3]
        v_depths: [N]
        v_means: Written. [N, 3]
        v_quats: Written. [N, 4]
        v_scales: Written. [N, 3]
    """
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    r00, r01, r02, r10, r11, r12 = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    r20, r21, r22, o0, o1, o2 = camera[6], camera[7], camera[8], camera[9], camera[10], camera[11]
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    width_px, height_px = np.float32(width), np.float32(height)
    margin_x = np.float32(0.15) * width_px / fx
    margin_y = np.float32(0.15) * height_px / fy
    left, right = -cx / fx - margin_x, (width_px - cx) / fx + margin_x
    top, bottom = -cy / fy - margin_y, (height_px - cy) / fy + margin_y
    n = means.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            if rects[i, 1] < rects[i, 0]:
                for k in range(3):
                    v_means[i, k] = 0
                    v_scales[i, k] = 0
                for k in range(4):
                    v_quats[i, k] = 0
                continue
            m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            x = r00 * m0 + r01 * m1 + r02 * m2 + o0
            y = r10 * m0 + r11 * m1 + r12 * m2 + o1
            z = r20 * m0 + r21 * m1 + r22 * m2 + o2
            inverse_z = one / z
            slope_x = min(max(x * inverse_z, left), right)
            slope_y = min(max(y * inverse_z, top), bottom)
            jx, jy = fx * inverse_z, fy * inverse_z
            jxz, jyz = -jx * slope_x, -jy * slope_y
            t00, t01, t02 = jx * r00 + jxz * r20, jx * r01 + jxz * r21, jx * r02 + jxz * r22
            t10, t11, t12 = jy * r10 + jyz * r20, jy * r11 + jyz * r21, jy * r12 + jyz * r22
            q00, q01, q02, q10, q11, q12, q20, q21, q22 = rotation_of(quats, i)
            # P = T Rq (before the scales), U = P S.
            p00 = t00 * q00 + t01 * q10 + t02 * q20
            p01 = t00 * q01 + t01 * q11 + t02 * q21
            p02 = t00 * q02 + t01 * q12 + t02 * q22
            p10 = t10 * q00 + t11 * q10 + t12 * q20
            p11 = t10 * q01 + t11 * q11 + t12 * q21
            p12 = t10 * q02 + t11 * q12 + t12 * q22
            # d(loss)/d(cov) = -X G X with X the conic and G its gradient, both symmetric 2x2.
            a = splats[i, 2] * (two / LOG8_E)
            b = splats[i, 3] / LOG8_E
            c = splats[i, 4] * (two / LOG8_E)
            ga, gb, gc = v_conics[i, 0], half * v_conics[i, 1], v_conics[i, 2]
            k00, k01 = a * ga + b * gb, a * gb + b * gc
            k10, k11 = b * ga + c * gb, b * gb + c * gc
            w_xx, w_xy, w_yy = -(k00 * a + k01 * b), -(k00 * b + k01 * c), -(k10 * b + k11 * c)
            # cov = U U^T, so v_U = 2 v_cov U.
            vu0 = two * (w_xx * p00 + w_xy * p10) * s0
            vu1 = two * (w_xx * p01 + w_xy * p11) * s1
            vu2 = two * (w_xx * p02 + w_xy * p12) * s2
            vv0 = two * (w_xy * p00 + w_yy * p10) * s0
            vv1 = two * (w_xy * p01 + w_yy * p11) * s1
            vv2 = two * (w_xy * p02 + w_yy * p12) * s2
            v_scales[i, 0] = vu0 * p00 + vv0 * p10
            v_scales[i, 1] = vu1 * p01 + vv1 * p11
            v_scales[i, 2] = vu2 * p02 + vv2 * p12
            vu0, vu1, vu2, vv0, vv1, vv2 = (
                vu0 * s0,
                vu1 * s1,
                vu2 * s2,
                vv0 * s0,
                vv1 * s1,
                vv2 * s2,
            )
            # v_T = v_P Rq^T and v_Rq = T^T v_P.
            vt00 = vu0 * q00 + vu1 * q01 + vu2 * q02
            vt01 = vu0 * q10 + vu1 * q11 + vu2 * q12
            vt02 = vu0 * q20 + vu1 * q21 + vu2 * q22
            vt10 = vv0 * q00 + vv1 * q01 + vv2 * q02
            vt11 = vv0 * q10 + vv1 * q11 + vv2 * q12
            vt12 = vv0 * q20 + vv1 * q21 + vv2 * q22
            g00, g01, g02 = t00 * vu0 + t10 * vv0, t00 * vu1 + t10 * vv1, t00 * vu2 + t10 * vv2
            g10, g11, g12 = t01 * vu0 + t11 * vv0, t01 * vu1 + t11 * vv1, t01 * vu2 + t11 * vv2
            g20, g21, g22 = t02 * vu0 + t12 * vv0, t02 * vu1 + t12 * vv1, t02 * vu2 + t12 * vv2
            dw, dx, dy, dz = rotation_gradient(
                quats, i, g00, g01, g02, g10, g11, g12, g20, g21, g22
            )
            v_quats[i, 0] = dw
            v_quats[i, 1] = dx
            v_quats[i, 2] = dy
            v_quats[i, 3] = dz
            # The Jacobian depends on the mean too, except on a slope that was clamped.
            vjx = vt00 * r00 + vt01 * r01 + vt02 * r02
            vjxz = vt00 * r20 + vt01 * r21 + vt02 * r22
            vjy = vt10 * r10 + vt11 * r11 + vt12 * r12
            vjyz = vt10 * r20 + vt11 * r21 + vt12 * r22
            v_slope_x = -vjxz * jx if left <= x * inverse_z <= right else np.float32(0)
            v_slope_y = -vjyz * jy if top <= y * inverse_z <= bottom else np.float32(0)
            v_slope_x_all = v_slope_x + v_means2d[i, 0] * fx
            v_slope_y_all = v_slope_y + v_means2d[i, 1] * fy
            vx = v_slope_x_all * inverse_z
            vy = v_slope_y_all * inverse_z
            vz = v_depths[i] - inverse_z * (
                vjx * jx + vjy * jy + vjxz * jxz + vjyz * jyz + vx * x + vy * y
            )
            v_means[i, 0] = r00 * vx + r10 * vy + r20 * vz
            v_means[i, 1] = r01 * vx + r11 * vy + r21 * vz
            v_means[i, 2] = r02 * vx + r12 * vy + r22 * vz
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)
