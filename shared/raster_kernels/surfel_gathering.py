"""Adds up what each surfel got from its tiles, in order; see ``gathering.py``."""

import numpy as np
from numba import njit

from shared.raster_kernels.gathering import SHARE
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.surfel_blending_backward import SLOT_WIDTH
from shared.raster_kernels.surfel_tiles import N_REGISTERS
from shared.raster_kernels.tiles import FLAGS


@njit(fastmath=FLAGS, error_model="numpy")
def gather_surfels(counter, surfels, slot_of, slots, v_surfels, v_opacities, v_colors):
    """Gradients in the projected surfels, their opacities and their colours.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        surfels: See ``surfel_projection.py``. [N, 20]
        slot_of: From ``slot_starts``. [N + 1]
        slots: From ``blend_surfels_backward``.
        v_surfels: Written but for its column 10. [N, 15]
        v_opacities: Written. [N]
        v_colors: Written. [N, C]
    """
    two = np.float32(2)
    n, n_channels = v_colors.shape
    n_others = n_channels - N_REGISTERS
    slot_width = SLOT_WIDTH + n_others
    added = np.empty(SLOT_WIDTH, np.float32)
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            added[:] = 0
            for channel in range(n_others):
                v_colors[i, N_REGISTERS + channel] = 0
            for at in range(slot_of[i] * slot_width, slot_of[i + 1] * slot_width, slot_width):
                for k in range(SLOT_WIDTH):
                    added[k] += slots[at + k]
                for channel in range(n_others):
                    v_colors[i, N_REGISTERS + channel] += slots[at + SLOT_WIDTH + channel]
            if slot_of[i] == slot_of[i + 1]:
                # Not drawn; its row of ``surfels`` may hold anything.
                v_surfels[i, :] = 0
                v_opacities[i] = 0
                v_colors[i, :] = 0
                continue
            t_u, t_v, t_w = added[6], added[7], added[8]
            v_surfels[i, 0] = surfels[i, 2] * t_u + surfels[i, 4] * t_v - surfels[i, 6] * t_w
            v_surfels[i, 1] = surfels[i, 3] * t_u + surfels[i, 5] * t_v - surfels[i, 7] * t_w
            v_surfels[i, 2] = -added[0]
            v_surfels[i, 3] = -added[1]
            v_surfels[i, 4] = -added[2]
            v_surfels[i, 5] = -added[3]
            v_surfels[i, 6] = added[4]
            v_surfels[i, 7] = added[5]
            v_surfels[i, 8] = two * added[9]
            v_surfels[i, 9] = two * added[10]
            v_surfels[i, 11] = added[15]
            v_surfels[i, 12] = added[16]
            v_surfels[i, 13] = added[17]
            v_surfels[i, 14] = added[18]
            v_opacities[i] = added[11] / two ** (np.float32(8) * surfels[i, 10])
            for channel in range(N_REGISTERS):
                v_colors[i, channel] = added[12 + channel]
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)
