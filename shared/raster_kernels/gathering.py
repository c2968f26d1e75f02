"""Adds up what each splat got from its tiles.

The backward kernels leave one slot for each pair of tile and splat, all slots of a splat one after
the other. They are summed in that order, so the result is the same for any number of threads.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.tiles import FLAGS, LOG8_E, TILE

SHARE = 1024  # splats that a thread takes at a time


@njit(fastmath=FLAGS, error_model="numpy")
def gather_rgb(
    counter,
    splats,
    rects,
    slot_of,
    slots,
    slot_width,
    v_means2d,
    v_conics,
    v_opacities,
    v_colors,
    v_depths,
):
    """Gradients from slots with red, green, blue and depth behind the footprint.

    Args:
        counter: Hands out shares; see ``sharing.py``.
        splats: See ``projection.py``. [N, 8]
        rects: Tiles that each splat touches. [N, 4]
        slot_of: From ``slot_starts``. [N + 1]
        slots: From ``blend_backward``.
        slot_width: Numbers in a slot.
        v_means2d: Written, px^-1. [N, 2]
        v_conics: Written, in xx, xy (both off-diagonal entries together), yy. [N, 3]
        v_opacities: Written. [N]
        v_colors: Written. [N, 3]
        v_depths: Written. [N]
    """
    zero = np.float32(0)
    n = splats.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            slot = slot_of[i] * slot_width
            sum_footprint(
                splats, rects, slots, slot, slot_width, i, v_means2d, v_conics, v_opacities
            )
            red, green, blue, depth = zero, zero, zero, zero
            for at in range(slot, slot_of[i + 1] * slot_width, slot_width):
                red += slots[at + 6]
                green += slots[at + 7]
                blue += slots[at + 8]
                depth += slots[at + 9]
            v_colors[i, 0] = red
            v_colors[i, 1] = green
            v_colors[i, 2] = blue
            v_depths[i] = depth
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(fastmath=FLAGS, error_model="numpy")
def gather_features(
    counter,
    splats,
    rects,
    slot_of,
    slots,
    slot_width,
    v_means2d,
    v_conics,
    v_opacities,
    v_features,
):
    """The same with any number of channels, from the sixteenth number of a slot on.

    Args:
        counter: As in ``gather_rgb``, like all up to ``v_opacities``.
        splats: [N, 8]
        rects: [N, 4]
        slot_of: [N + 1]
        slots: From ``blend_features_backward``.
        slot_width: 16 + F.
        v_means2d: Written. [N, 2]
        v_conics: Written. [N, 3]
        v_opacities: Written. [N]
        v_features: Written. [N, F]
    """
    n = splats.shape[0]
    while True:
        first = take_next(counter) * SHARE
        if first >= n:
            break
        for i in range(first, min(first + SHARE, n)):
            slot = slot_of[i] * slot_width
            sum_footprint(
                splats, rects, slots, slot, slot_width, i, v_means2d, v_conics, v_opacities
            )
            for channel in range(v_features.shape[1]):
                summed = np.float32(0)
                for at in range(slot, slot_of[i + 1] * slot_width, slot_width):
                    summed += slots[at + 16 + channel]
                v_features[i, channel] = summed
        finish_one(counter)
    wait_for(counter, (n + SHARE - 1) // SHARE)


@njit(fastmath=FLAGS, error_model="numpy")
def sum_footprint(splats, rects, slots, slot, slot_width, i, v_means2d, v_conics, v_opacities):
    """Gradients of splat ``i`` in the image plane from its slots, one slot for each tile.

    The first six numbers of a slot are the sums over a tile's pixels of dE times
    1, X, Y, X^2, XY, Y^2, with E the exponent in nats and X, Y relative to the tile's centre.
    """
    zero, two, side = np.float32(0), np.float32(2), np.float32(TILE)
    m, mx, my, mxx, mxy, myy = zero, zero, zero, zero, zero, zero
    u_first = splats[i, 0] - (np.float32(rects[i, 0]) * side + side / two)
    u_last = splats[i, 0] - (np.float32(rects[i, 1]) * side + side / two)
    v = splats[i, 1] - (np.float32(rects[i, 2]) * side + side / two)
    u = u_first
    n_slots = np.int64(rects[i, 1] - rects[i, 0] + 1) * (rects[i, 3] - rects[i, 2] + 1)
    for at in range(slot, slot + n_slots * slot_width, slot_width):
        s, sx, sy = slots[at], slots[at + 1], slots[at + 2]
        m += s
        mx += sx - u * s
        my += sy - v * s
        mxx += slots[at + 3] - two * u * sx + u * u * s
        mxy += slots[at + 4] - u * sy - v * sx + u * v * s
        myy += slots[at + 5] - two * v * sy + v * v * s
        # Row by row over the rectangle, without a branch that cannot be foreseen.
        is_row_done = u <= u_last
        u = u_first if is_row_done else u - side
        v = v - side if is_row_done else v
    a = splats[i, 2] * (two / LOG8_E)
    b = splats[i, 3] / LOG8_E
    c = splats[i, 4] * (two / LOG8_E)
    v_means2d[i, 0] = a * mx + b * my
    v_means2d[i, 1] = b * mx + c * my
    v_conics[i, 0] = np.float32(-0.5) * mxx
    v_conics[i, 1] = -mxy
    v_conics[i, 2] = np.float32(-0.5) * myy
    # dE = d(opacity) / opacity.
    opacity = two ** (np.float32(8) * splats[i, 5])
    v_opacities[i] = m / opacity if m != zero else zero
