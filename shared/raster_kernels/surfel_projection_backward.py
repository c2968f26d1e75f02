"""The exact gradient of ``surfel_projection.py``."""

import numpy as np
from numba import njit

from shared.raster_kernels.projection import SHARE
from shared.raster_kernels.quaternions import rotation_gradient, rotation_of
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.surfel_projection import FLAGS, STEEPEST, THINNEST, away_from_zero


@njit(fastmath=FLAGS, error_model="numpy")
def project_surfels_backward(
    counter, means, quats, scales, camera, surfels, rects, v_surfels, v_means, v_quats, v_scales
):
    """Gradients of the loss in means, quats and scales from those in the projected surfels.

    ``v_x`` is the gradient of the loss in ``x`` throughout. Rows that were not drawn become 0.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        means: As in ``project_surfels``, like ``quats`` to ``rects``. [N, 3]
        quats: [N, 4]
        scales: [N, 2]
        camera: [16]
        surfels: [N, 20]
        rects: [N, 4]
        v_surfels: Gradients in columns 0 to 9 and 11 to 14 of ``surfels``. [N, 15]
        v_means: Written. [N, 3]
        v_quats: Written. [N, 4]
        v_scales: Written. [N, 2]
    """
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    r00, r01, r02, r10, r11, r12 = camera[0], camera[1], camera[2], camera[3], camera[4], camera[5]
    r20, r21, r22, o0, o1, o2 = camera[6], camera[7], camera[8], camera[9], camera[10], camera[11]
    fx, fy = camera[12], camera[13]
    n = means.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            if rects[i, 1] < rects[i, 0]:
                v_means[i, :] = 0
                v_quats[i, :] = 0
                v_scales[i, :] = 0
                continue
            m0, m1, m2 = means[i, 0], means[i, 1], means[i, 2]
            s_u, s_v = scales[i, 0], scales[i, 1]
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
            slope_x, slope_y = x / z, y / z
            facing = nx * slope_x + ny * slope_y + nz
            k = one / away_from_zero(facing, STEEPEST)
            qu, pu = vx - slope_x * vz, vy - slope_y * vz
            qv, pv = ux - slope_x * uz, uy - slope_y * uz
            inverse_u = one / s_u if abs(s_u) > THINNEST else zero
            inverse_v = one / s_v if abs(s_v) > THINNEST else zero
            # What depends on 1 / (s_u k), 1 / (s_v k) and 1 / k as a whole.
            g2, g3, g4, g5 = v_surfels[i, 2], v_surfels[i, 3], v_surfels[i, 4], v_surfels[i, 5]
            g6, g7 = v_surfels[i, 6], v_surfels[i, 7]
            whole_u = g2 * surfels[i, 2] + g3 * surfels[i, 3]
            whole_v = g4 * surfels[i, 4] + g5 * surfels[i, 5]
            whole_n = g6 * surfels[i, 6] + g7 * surfels[i, 7]
            v_s_u, v_s_v = -whole_u * inverse_u, -whole_v * inverse_v
            v_z = (whole_u + whole_v) / z
            v_facing = -(whole_u + whole_v + whole_n) * k
            along_u, along_v = z * k * inverse_u, z * k * inverse_v
            v_pu, v_qu = g2 * along_u / fx, -g3 * along_u / fy
            v_pv, v_qv = -g4 * along_v / fx, g5 * along_v / fy
            v_nx, v_ny, v_nz = g6 * k / fx, g7 * k / fy, zero
            # The low-pass's centre.
            g8, g9 = v_surfels[i, 8], v_surfels[i, 9]
            a, b, c, d = fx * s_u * qv, fx * s_v * qu, fy * s_u * pv, fy * s_v * pu
            e, f = s_u * uz, s_v * vz
            span = one / (z * z - e * e - f * f)
            v_det = (g8 * (a * e + b * f) + g9 * (c * e + d * f)) * span * span
            v_z += two * z * v_det
            v_e = -(g8 * a + g9 * c) * span - two * e * v_det
            v_f = -(g8 * b + g9 * d) * span - two * f * v_det
            v_a, v_b, v_c, v_d = -g8 * e * span, -g8 * f * span, -g9 * e * span, -g9 * f * span
            v_s_u += v_a * fx * qv + v_c * fy * pv + v_e * uz
            v_s_v += v_b * fx * qu + v_d * fy * pu + v_f * vz
            v_qv += v_a * fx * s_u
            v_pv += v_c * fy * s_u
            v_qu += v_b * fx * s_v
            v_pu += v_d * fy * s_v
            # Axes, normal and slopes.
            v_uz = v_e * s_u - slope_x * v_qv - slope_y * v_pv
            v_vz = v_f * s_v - slope_x * v_qu - slope_y * v_pu
            v_nx += v_facing * slope_x
            v_ny += v_facing * slope_y
            v_nz += v_facing
            v_slope_x = v_facing * nx - vz * v_qu - uz * v_qv
            v_slope_y = v_facing * ny - vz * v_pu - uz * v_pv
            v_slope_x += fx * (v_surfels[i, 0] + g8)
            v_slope_y += fy * (v_surfels[i, 1] + g9)
            v_x, v_y = v_slope_x / z, v_slope_y / z
            v_z += v_surfels[i, 11] - v_x * slope_x - v_y * slope_y
            v_means[i, 0] = r00 * v_x + r10 * v_y + r20 * v_z
            v_means[i, 1] = r01 * v_x + r11 * v_y + r21 * v_z
            v_means[i, 2] = r02 * v_x + r12 * v_y + r22 * v_z
            v_scales[i, 0] = v_s_u
            v_scales[i, 1] = v_s_v
            # Back to the rotation's columns in world space; q = R^T t.
            towards = one if facing < zero else -one
            g00 = r00 * v_qv + r10 * v_pv + r20 * v_uz
            g10 = r01 * v_qv + r11 * v_pv + r21 * v_uz
            g20 = r02 * v_qv + r12 * v_pv + r22 * v_uz
            g01 = r00 * v_qu + r10 * v_pu + r20 * v_vz
            g11 = r01 * v_qu + r11 * v_pu + r21 * v_vz
            g21 = r02 * v_qu + r12 * v_pu + r22 * v_vz
            g02 = r00 * v_nx + r10 * v_ny + r20 * v_nz + towards * v_surfels[i, 12]
            g12 = r01 * v_nx + r11 * v_ny + r21 * v_nz + towards * v_surfels[i, 13]
            g22 = r02 * v_nx + r12 * v_ny + r22 * v_nz + towards * v_surfels[i, 14]
            dw, dx, dy, dz = rotation_gradient(
                quats, i, g00, g01, g02, g10, g11, g12, g20, g21, g22
            )
            v_quats[i, 0] = dw
            v_quats[i, 1] = dx
            v_quats[i, 2] = dy
            v_quats[i, 3] = dz
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)
