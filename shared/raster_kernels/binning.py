"""Sorts splats by depth and lists, for each 16x16 tile, the splats that touch it, near first."""

import numpy as np
from numba import njit

from shared.raster_kernels.sharing import finish_one, take_next, wait_for

RADIX_BITS = 12
RADIX = 1 << RADIX_BITS


@njit(nogil=True, cache=True)
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


@njit
def count_pairs(counter, rects, order, n_tiles_x, cursors):
    """Count the splats of each tile, part by part of ``order``.

    Args:
        counter: Hands out parts; see ``sharing.py``.
        rects: Tiles x0, x1, y0, y1 (inclusive) of each splat. [N, 4]
        order: Drawn splats, near first. [M]
        n_tiles_x: Tiles in a row.
        cursors: Added to. [n_parts, n_tiles]
    """
    n_drawn, n_parts = order.shape[0], cursors.shape[0]
    while True:
        part = take_next(counter)
        if part >= n_parts:
            break
        cursor = cursors[part]
        for k in range(n_drawn * part // n_parts, n_drawn * (part + 1) // n_parts):
            i = order[k]
            for ty in range(rects[i, 2], rects[i, 3] + 1):
                for tx in range(rects[i, 0], rects[i, 1] + 1):
                    cursor[ty * n_tiles_x + tx] += 1
        finish_one(counter)
    wait_for(counter, n_parts)


@njit
def place_cursors(counter, cursors, starts):
    """Turn counts into where each part writes: one thread's work.

    Args:
        counter: Hands out the one item.
        cursors: Counts, then places. [n_parts, n_tiles]
        starts: Written: each tile's start in ``ids``, and the end. [n_tiles + 1]
    """
    n_parts, n_tiles = cursors.shape
    if take_next(counter) == 0:
        total = np.int32(0)
        for tile in range(n_tiles):
            starts[tile] = total
            for part in range(n_parts):
                count = cursors[part, tile]
                cursors[part, tile] = total
                total += count
        starts[n_tiles] = total
        finish_one(counter)
    wait_for(counter, 1)


@njit
def place_pairs(counter, rects, order, n_tiles_x, cursors, ids):
    """List the splats of each tile in the order of depth: the second half of a counting sort.

    Args:
        counter: As in ``count_pairs``, like ``rects``, ``order`` and ``n_tiles_x``.
        rects: [N, 4]
        order: [M]
        n_tiles_x: Tiles in a row.
        cursors: From ``place_cursors``; moved on. [n_parts, n_tiles]
        ids: Written.
    """
    n_drawn, n_parts = order.shape[0], cursors.shape[0]
    while True:
        part = take_next(counter)
        if part >= n_parts:
            break
        cursor = cursors[part]
        for k in range(n_drawn * part // n_parts, n_drawn * (part + 1) // n_parts):
            i = order[k]
            for ty in range(rects[i, 2], rects[i, 3] + 1):
                for tx in range(rects[i, 0], rects[i, 1] + 1):
                    tile = ty * n_tiles_x + tx
                    ids[cursor[tile]] = i
                    cursor[tile] += 1
        finish_one(counter)
    wait_for(counter, n_parts)


@njit(nogil=True, cache=True)
def slot_starts(rects):
    """Where each splat's gradient slots begin, one slot for each tile in its rectangle. [N + 1]"""
    starts = np.empty(rects.shape[0] + 1, np.int64)
    total = np.int64(0)
    for i in range(rects.shape[0]):
        starts[i] = total
        total += (rects[i, 1] - rects[i, 0] + 1) * np.int64(rects[i, 3] - rects[i, 2] + 1)
    starts[rects.shape[0]] = total
    return starts


@njit
def list_pairs(counters, rects, order, n_tiles_x, cursors, starts, ids):
    """Fill ``starts`` and ``ids``: all of the above; ``counters`` holds three. [3, 2]"""
    count_pairs(counters[0], rects, order, n_tiles_x, cursors)
    place_cursors(counters[1], cursors, starts)
    place_pairs(counters[2], rects, order, n_tiles_x, cursors, ids)
