"""Blends tiles of splats with any number of channels.

The same walk as ``blending.py`` with a loop over channels in memory where that file has red,
green and blue in registers; the caller appends depth as one more channel.
"""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import load, store
from shared.raster_kernels.lanes import (
    bits_of,
    where,
)
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.tiles import (
    CHUNK,
    FLAGS,
    MAX_ALPHA,
    MIN_TRANSMITTANCE,
    ROW,
    THRESHOLD,
    power_of_two,
    prepare_chunk,
)


@njit(fastmath=FLAGS, error_model="numpy")
def blend_features(
    counter, splats, features, starts, ids, positions, width, height, out_features, out_alpha
):
    """Draw splats with F channels over nothing.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        splats: See ``projection.py``. [N, 8]
        features: [N, F]
        starts: Where each tile's list starts in ``ids``. [n_tiles + 1]
        ids: Splats of each tile, near first.
        positions: From ``lane_positions``.
        width: Image width in pixels.
        height: Image height in pixels.
        out_features: Written. [H * W * F]
        out_alpha: Written. [H * W]
    """
    n_features = features.shape[1]
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    zero, one = np.float32(0), np.float32(1)
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    state = np.empty(16 * 32, np.float32)  # of each block: T, and T after the last one drawn
    sums = np.empty(16 * 16 * n_features, np.float32)
    while True:
        tile = take_next(counter)
        if tile >= n_tiles:
            break
        left, top = (tile % n_tiles_x) * 16, (tile // n_tiles_x) * 16
        centre_x, centre_y = np.float32(left + 8), np.float32(top + 8)
        sums[:] = 0
        state[:] = 1
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1] and alive != 0:
            count = min(CHUNK, starts[tile + 1] - first)
            prepare_chunk(table, forms, masks, splats, ids, first, count, centre_x, centre_y)
            for block in range(16):
                if (alive >> block) & 1 == 0:
                    continue
                at = block * 80
                x, y, xx = (
                    load(positions, at),
                    load(positions, at + 16),
                    load(positions, at + 32),
                )
                xy, yy = load(positions, at + 48), load(positions, at + 64)
                through, rest = load(state, block * 32), load(state, block * 32 + 16)
                for k in range(count):
                    if (masks[k] >> block) & 1 == 0:
                        continue
                    row = np.uint16(k * ROW)
                    p = (
                        table[row]
                        + x * table[row + 1]
                        + y * table[row + 2]
                        + xx * table[row + 3]
                        + xy * table[row + 4]
                        + yy * table[row + 5]
                    )
                    e = power_of_two(p)
                    alpha = where(p >= THRESHOLD, where(e <= MAX_ALPHA, e, MAX_ALPHA), zero)
                    weight = alpha * through
                    through = through * (one - alpha)
                    is_kept = through > MIN_TRANSMITTANCE
                    weight = where(is_kept, weight, zero)
                    rest = where(is_kept, through, rest)
                    through = where(is_kept, through, zero)
                    i = ids[first + k]
                    at = block * n_features * 16
                    for channel in range(n_features):
                        store(sums, at, load(sums, at) + weight * features[i, channel])
                        at += 16
                if bits_of(through > zero) == 0:
                    alive &= ~(1 << block)
                store(state, block * 32, through)
                store(state, block * 32 + 16, rest)
            first += CHUNK
        for dy in range(min(16, height - top)):
            for dx in range(min(16, width - left)):
                block, lane = (dy >> 2) * 4 + (dx >> 2), (dy & 3) * 4 + (dx & 3)
                pixel = (top + dy) * width + left + dx
                out_alpha[pixel] = one - state[block * 32 + 16 + lane]
                for channel in range(n_features):
                    at = (block * n_features + channel) * 16 + lane
                    out_features[pixel * n_features + channel] = sums[at]
        finish_one(counter)
    wait_for(counter, n_tiles)
