"""What both blending stages of surfels share: a chunk's table, and what a pixel's ray hits.

Tiles, blocks, lanes and the exponent's units are those of ``tiles.py``.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import store_integers
from shared.raster_kernels.lanes import both, reciprocal, where
from shared.raster_kernels.tiles import (
    CHUNK,
    FLAGS,
    LOG8_E,
    MAX_ALPHA,
    THRESHOLD,
    block_masks,
    power_of_two,
)

ROW = 20  # numbers in a row of a chunk's table
# Columns: 0 to 11 as in ``surfel_projection.py``, x and y relative to the tile's centre and the
# depth to the tile's first surfel; 12, 13, 14 normal; 15, 16, 17 the first three channels.

N_REGISTERS = 3  # channels that are held in registers
HALF_NAT = np.float32(0.5) * LOG8_E  # exponent units by which alpha falls for each unit of rho
FARTHEST = np.float32(1e-6)  # least w: what lies further off than z / w is not hit


@njit(fastmath=FLAGS, error_model="numpy")
def prepare_surfels(table, forms, masks, surfels, colors, ids, first, count, centre_x, centre_y, z):
    """Fill a chunk's table and masks.

    Args:
        table: Written. [CHUNK * ROW]
        forms: Workspace, ones at first. [6 * CHUNK]
        masks: Written: blocks that each surfel's ellipse meets. [CHUNK] int32
        surfels: See ``surfel_projection.py``. [N, 20]
        colors: [N, C], C at least 3
        ids: Surfels of the tiles.
        first: The chunk's start in ``ids``.
        count: Its length.
        centre_x: Of the tile, px.
        centre_y: Likewise.
        z: Depth of the tile's first surfel, m.
    """
    for k in range(count):
        i = ids[first + k]
        at = np.uint16(k * ROW)
        table[at] = surfels[i, 0] - centre_x
        table[at + 1] = surfels[i, 1] - centre_y
        for column in range(2, 8):
            table[at + column] = surfels[i, column]
        table[at + 8] = surfels[i, 8] - centre_x
        table[at + 9] = surfels[i, 9] - centre_y
        table[at + 10] = surfels[i, 10]
        table[at + 11] = surfels[i, 11] - z
        for axis in range(3):
            table[at + 12 + axis] = surfels[i, 12 + axis]
            table[at + 15 + axis] = colors[i, axis]
        forms[k] = surfels[i, 15] - centre_x
        forms[CHUNK + k] = surfels[i, 16] - centre_y
        forms[2 * CHUNK + k] = surfels[i, 17]
        forms[3 * CHUNK + k] = surfels[i, 18]
        forms[4 * CHUNK + k] = surfels[i, 19]
    for k in range(0, count, 16):
        store_integers(masks, k, block_masks(forms, k))


@njit(fastmath=FLAGS, error_model="numpy")
def hit(table, row, x, y):
    """Where sixteen rays meet the surfel in ``row``, and what is seen of it there.

    Returns:
        dx, dy: Pixels from the projected centre.
        nu, nv, r: u = nu r, v = nv r.
        rho3: u^2 + v^2.
        ex, ey: Pixels from the low-pass's centre.
        is_plane: Where u^2 + v^2 is the smaller of the two.
        e: Alpha before it is bounded.
        alpha: 0 where it would be under 1/255.
    """
    one, two, zero = np.float32(1), np.float32(2), np.float32(0)
    dx, dy = x - table[row], y - table[row + 1]
    nu = dx * table[row + 2] + dy * table[row + 3]
    nv = dx * table[row + 4] + dy * table[row + 5]
    w = one + dx * table[row + 6] + dy * table[row + 7]
    r = reciprocal(w)
    rho3 = (nu * nu + nv * nv) * (r * r)
    ex, ey = x - table[row + 8], y - table[row + 9]
    rho2 = two * (ex * ex + ey * ey)
    # The approximate reciprocal of a negative w is no number that means anything.
    is_plane = both(w > FARTHEST, rho3 <= rho2)
    rho = where(is_plane, rho3, rho2)
    p = table[row + 10] - rho * HALF_NAT
    e = power_of_two(p)
    alpha = where(p >= THRESHOLD, where(e <= MAX_ALPHA, e, MAX_ALPHA), zero)
    return dx, dy, nu, nv, r, rho3, ex, ey, is_plane, e, alpha
