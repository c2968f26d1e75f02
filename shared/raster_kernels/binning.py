"""Sorts splats by depth and lists, for each 16x16 tile, the splats that touch it, near first."""

import numpy as np
from numba import njit, prange

RADIX_BITS = 12
RADIX = 1 << RADIX_BITS


@njit(cache=True)
def sort_by_depth(depth_bits, rects, keys, spare):
    """Order of the drawn splats by depth, ties by index: a radix sort on the float's bits.

    The bits of positive floats order like the floats, so the order is exact. Heads span few
    metres: two passes of 12 bits are usually enough.

    Args:
        depth_bits: Positive float32 depths seen as int32. [N]
        rects: Tiles that each splat touches. [N, 4]
        keys: Workspace. [N] int64
        spare: Workspace. [N] int64

    Returns:
        Indices of the drawn splats, near first. [M] int32
    """
    lowest, highest = np.int64(2**31 - 1), np.int64(0)
    for i in range(depth_bits.shape[0]):
        if rects[i, 0] <= rects[i, 1]:
            lowest = min(lowest, np.int64(depth_bits[i]))
            highest = max(highest, np.int64(depth_bits[i]))
    n_drawn = 0
    for i in range(depth_bits.shape[0]):
        keys[n_drawn] = ((np.int64(depth_bits[i]) - lowest) << 32) | i
        n_drawn += rects[i, 0] <= rects[i, 1]
    shift = 32
    while (highest - lowest) >> (shift - 32) > 0:
        starts = np.zeros(RADIX + 1, np.int32)
        for k in range(n_drawn):
            starts[((keys[k] >> shift) & (RADIX - 1)) + 1] += 1
        for digit in range(RADIX):
            starts[digit + 1] += starts[digit]
        for k in range(n_drawn):
            digit = (keys[k] >> shift) & (RADIX - 1)
            spare[starts[digit]] = keys[k]
            starts[digit] += 1
        keys, spare = spare, keys
        shift += RADIX_BITS
    order = np.empty(n_drawn, np.int32)
    for k in range(n_drawn):
        order[k] = np.int32(keys[k] & 0x7FFFFFFF)
    return order


@njit(parallel=True, cache=True)
def bin_into_tiles(rects, order, n_tiles_x, n_tiles, n_parts):
    """A counting sort that keeps the order of depth; each part counts and fills its own share.

    Args:
        rects: Tiles x0, x1, y0, y1 (inclusive) of each splat. [N, 4]
        order: Drawn splats, near first. [M]
        n_tiles_x: Tiles in a row.
        n_tiles: Tiles in the image.
        n_parts: Shares of the work; the result does not depend on it.

    Returns:
        Start of each tile's list in ``ids`` [n_tiles + 1] int32, and ``ids`` int32.
    """
    n_drawn = order.shape[0]
    cursors = np.zeros((n_parts, n_tiles + 16), np.int32)
    starts = np.empty(n_tiles + 1, np.int32)
    for part in prange(n_parts):
        cursor = cursors[part]
        for k in range(n_drawn * part // n_parts, n_drawn * (part + 1) // n_parts):
            i = order[k]
            for ty in range(rects[i, 2], rects[i, 3] + 1):
                for tx in range(rects[i, 0], rects[i, 1] + 1):
                    cursor[ty * n_tiles_x + tx] += 1
    total = 0
    for tile in range(n_tiles):
        starts[tile] = total
        for part in range(n_parts):
            count = cursors[part, tile]
            cursors[part, tile] = total
            total += count
    starts[n_tiles] = total
    ids = np.empty(total, np.int32)
    for part in prange(n_parts):
        cursor = cursors[part]
        for k in range(n_drawn * part // n_parts, n_drawn * (part + 1) // n_parts):
            i = order[k]
            for ty in range(rects[i, 2], rects[i, 3] + 1):
                for tx in range(rects[i, 0], rects[i, 1] + 1):
                    tile = ty * n_tiles_x + tx
                    ids[cursor[tile]] = i
                    cursor[tile] += 1
    return starts, ids


@njit(cache=True)
def slot_starts(rects):
    """Where each splat's gradient slots begin, one slot for each tile in its rectangle. [N + 1]"""
    starts = np.empty(rects.shape[0] + 1, np.int64)
    total = np.int64(0)
    for i in range(rects.shape[0]):
        starts[i] = total
        total += (rects[i, 1] - rects[i, 0] + 1) * np.int64(rects[i, 3] - rects[i, 2] + 1)
    starts[rects.shape[0]] = total
    return starts
