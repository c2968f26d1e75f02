"""What all blending stages share: a tile's geometry and a splat's footprint on it.

A tile is 16x16 px, cut into sixteen 4x4 blocks of 16 lanes. Inside a tile a splat's exponent is a
polynomial in the pixel's position relative to the tile's centre,
p(X, Y) = c0 + c1 X + c2 Y + c3 X^2 + c4 XY + c5 Y^2, and alpha = (2^p)^8. For every splat a 16-bit
mask tells which blocks its ellipse alpha >= 1/255 meets.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import load, store_integers
from shared.raster_kernels.lanes import (
    N_LANES,
    both,
    reciprocal,
    round_down,
    round_up,
    spread,
    square_root,
    where,
)

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc", "nnan", "ninf"}

CHUNK = 256  # splats of a tile that are prepared at a time
ROW = 12  # numbers in a row of a chunk's table: the polynomial, then colour and depth
N_BLOCKS = 16
TILE = 16  # px
CHECK_EVERY = 16  # splats between two looks at whether a block is done
THRESHOLD = np.float32(-7.99435343685886 / 8)  # log2(1/255)/8
LOG8_E = np.float32(1.4426950408889634 / 8)
MAX_ALPHA = np.float32(0.999)
MIN_TRANSMITTANCE = np.float32(1e-4)

# Minimax fit of 2^p on [-1, 0.01]; its 8th power is within 2e-6 (relative).
E0 = np.float32(0.9999999403953552)
E1 = np.float32(0.6931430101394653)
E2 = np.float32(0.24017639458179474)
E3 = np.float32(0.05528896301984787)
E4 = np.float32(0.00919757317751646)
E5 = np.float32(0.0009419663110747933)


def lane_positions():
    """X, Y, X^2, XY, Y^2 of every lane of every block, relative to the tile's centre. [16 * 80]"""
    positions = np.zeros((N_BLOCKS, 5, N_LANES), np.float32)
    for block in range(N_BLOCKS):
        for lane in range(N_LANES):
            x = (block % 4) * 4 + lane % 4 - 7.5
            y = (block // 4) * 4 + lane // 4 - 7.5
            positions[block, :, lane] = (x, y, x * x, x * y, y * y)
    return positions.reshape(-1)


@njit
def power_of_two(p):
    """(2^p)^8, the alpha of an exponent in our units."""
    e = E0 + p * (E1 + p * (E2 + p * (E3 + p * (E4 + p * E5))))
    e = e * e
    e = e * e
    return e * e


@njit
def least(a, b):
    """Lane by lane."""
    return where(a <= b, a, b)


@njit
def most(a, b):
    """Lane by lane."""
    return where(a >= b, a, b)


@njit(fastmath=FLAGS, error_model="numpy")
def prepare_chunk(table, forms, masks, splats, ids, first, count, centre_x, centre_y):
    """Fill the polynomials (the first six columns of ``table``) and masks of ``count`` splats."""
    two = np.float32(2)
    for k in range(count):
        i = ids[first + k]
        u, v = splats[i, 0] - centre_x, splats[i, 1] - centre_y
        a, b, c = splats[i, 2], splats[i, 3], splats[i, 4]
        at = np.uint16(k * ROW)
        table[at] = splats[i, 5] - (u * (a * u + b * v) + c * v * v)
        table[at + 1] = two * a * u + b * v
        table[at + 2] = two * c * v + b * u
        table[at + 3] = -a
        table[at + 4] = -b
        table[at + 5] = -c
        forms[k] = u
        forms[CHUNK + k] = v
        forms[2 * CHUNK + k] = a
        forms[3 * CHUNK + k] = b
        forms[4 * CHUNK + k] = c
        forms[5 * CHUNK + k] = splats[i, 6]
    for k in range(0, count, 16):
        store_integers(masks, k, block_masks(forms, k))


@njit(fastmath=FLAGS, error_model="numpy")
def paint_chunk(table, splats, colors, ids, first, count):
    """Fill colour and depth into a chunk's table."""
    for k in range(count):
        i = ids[first + k]
        at = np.uint16(k * ROW)
        table[at + 6] = colors[i, 0]
        table[at + 7] = colors[i, 1]
        table[at + 8] = colors[i, 2]
        table[at + 9] = splats[i, 7]


@njit(fastmath=FLAGS, error_model="numpy")
def block_masks(forms, k):
    """Masks of the blocks that the ellipses of sixteen splats meet, as floats.

    The ellipse is dx = lean dy +- sqrt(reach/a - flat dy^2), widest to the right at
    dy = rightmost and to the left at -rightmost; so its reach in a band of four rows is exact.
    """
    zero, one = np.float32(0), np.float32(1)
    u, v = load(forms, k), load(forms, CHUNK + k)
    inverse_a = reciprocal(load(forms, 2 * CHUNK + k))
    lean = inverse_a * load(forms, 3 * CHUNK + k) * np.float32(-0.5)
    # Rounding may leave nothing of it for a needle; then the mask becomes generous.
    flat = most(inverse_a * load(forms, 4 * CHUNK + k) - lean * lean, spread(np.float32(1e-12)))
    reach = inverse_a * load(forms, 5 * CHUNK + k)
    inverse_flat = reciprocal(flat)
    tallest = square_root(reach * inverse_flat) + np.float32(1e-3)
    rightmost = lean * square_root(reach * inverse_flat * reciprocal(flat + lean * lean))
    mask = spread(zero)
    for band in range(4):
        top = np.float32(band * 4 - 7.5) - v
        low, high = most(top, tallest * -one), least(top + np.float32(3), tallest)
        y_right = least(most(rightmost, low), high)
        y_left = least(most(rightmost * -one, low), high)
        half_right = square_root(most(reach - flat * y_right * y_right, spread(zero)))
        half_left = square_root(most(reach - flat * y_left * y_left, spread(zero)))
        right = round_down(u + lean * y_right + half_right + np.float32(7.501))
        left = round_up(u + lean * y_left - half_left + np.float32(7.499))
        is_hit = both(low <= high, left <= right)
        for column in range(4):
            in_block = both(left <= np.float32(4 * column + 3), right >= np.float32(4 * column))
            bit = np.float32(1 << (4 * band + column))
            mask += where(both(is_hit, in_block), bit, zero)
    return mask


@njit(fastmath=FLAGS, error_model="numpy")
def read_patch(patch, image, width, height, left, top, n_channels):
    """Copy what lies inside of ``image`` [H * W * C] to ``patch`` [16 * 16 * C]."""
    for row in range(min(16, height - top)):
        there = ((top + row) * width + left) * n_channels
        for k in range(min(16, width - left) * n_channels):
            patch[row * 16 * n_channels + k] = image[there + k]


@njit(fastmath=FLAGS, error_model="numpy")
def write_patch(patch, image, width, height, left, top, n_channels):
    """Copy ``patch`` to where it lies inside of ``image``."""
    for row in range(min(16, height - top)):
        there = ((top + row) * width + left) * n_channels
        for k in range(min(16, width - left) * n_channels):
            image[there + k] = patch[row * 16 * n_channels + k]


@njit(fastmath=FLAGS, error_model="numpy")
def find_slots(chunk_slots, slot_of, rects, ids, first, count, tile_x, tile_y):
    """Slots of a chunk's splats for this tile; apart from the walk, so that loads overlap."""
    for k in range(count):
        i = ids[first + k]
        n_across = np.int64(rects[i, 1] - rects[i, 0] + 1)
        chunk_slots[k] = slot_of[i] + (tile_y - rects[i, 2]) * n_across + tile_x - rects[i, 0]
