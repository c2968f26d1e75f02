"""The exact gradient of ``blending_features.py``."""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import load, store
from shared.raster_kernels.lanes import (
    bits_of,
    both,
    lowest_bit,
    reciprocal,
    spread,
    sums_of,
    total,
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
    find_slots,
    power_of_two,
    prepare_chunk,
)


@njit(fastmath=FLAGS, error_model="numpy")
def blend_features_backward(
    counter,
    splats,
    features,
    rects,
    starts,
    ids,
    positions,
    width,
    height,
    slot_of,
    slots,
    out_features,
    out_alpha,
    g_features,
    g_alpha,
):
    """Each pair of tile and splat: its gradients; the method is that of ``blend_backward``.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        splats: As in ``blend_features``, like all up to ``positions``.
        features: [N, F]
        rects: Tiles that each splat touches. [N, 4]
        starts: [n_tiles + 1]
        ids: Splats of each tile.
        positions: From ``lane_positions``.
        width: Image width in pixels.
        height: Image height in pixels.
        slot_of: From ``slot_starts``. [N + 1]
        slots: Written; see ``gathering.py``. [at least slot_of[N] * (16 + F)]
        out_features: What ``blend_features`` wrote. [H * W * F]
        out_alpha: [H * W]
        g_features: Gradient of the loss in ``out_features``. [H * W * F]
        g_alpha: [H * W]
    """
    n_features = features.shape[1]
    slot_width = 16 + n_features  # the footprint in the first six, the channels from 16 on
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    zero, one = np.float32(0), np.float32(1)
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    chunk_slots = np.empty(CHUNK, np.int64)
    state = np.empty(16 * 32, np.float32)  # of each block: T, S
    gradients = np.empty(16 * 16 * n_features, np.float32)
    sums = np.empty(16 * n_features, np.float32)
    while True:
        tile = take_next(counter)
        if tile >= n_tiles:
            break
        if starts[tile] == starts[tile + 1]:
            finish_one(counter)
            continue
        tile_x, tile_y = tile % n_tiles_x, tile // n_tiles_x
        left, top = tile_x * 16, tile_y * 16
        centre_x, centre_y = np.float32(left + 8), np.float32(top + 8)
        gradients[:] = 0
        state[:] = 0
        for dy in range(min(16, height - top)):
            for dx in range(min(16, width - left)):
                block, lane = (dy >> 2) * 4 + (dx >> 2), (dy & 3) * 4 + (dx & 3)
                pixel = (top + dy) * width + left + dx
                behind_pixel = -(one - out_alpha[pixel]) * g_alpha[pixel]
                for channel in range(n_features):
                    g = g_features[pixel * n_features + channel]
                    gradients[(block * n_features + channel) * 16 + lane] = g
                    behind_pixel += g * out_features[pixel * n_features + channel]
                state[block * 32 + lane] = 1
                state[block * 32 + 16 + lane] = behind_pixel
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1]:
            count = min(CHUNK, starts[tile + 1] - first)
            find_slots(chunk_slots, slot_of, rects, ids, first, count, tile_x, tile_y)
            if alive != 0:
                prepare_chunk(table, forms, masks, splats, ids, first, count, centre_x, centre_y)
            for k in range(count):
                i = ids[first + k]
                slot = chunk_slots[k] * slot_width
                mask = np.int32(masks[k] & alive)
                row = np.uint16(k * ROW)
                sum_1 = sum_x = sum_y = sum_xx = sum_xy = sum_yy = spread(zero)
                sums[:] = 0
                while mask != 0:
                    block = lowest_bit(mask)
                    mask &= mask - 1
                    at = block * 80
                    x, y = load(positions, at), load(positions, at + 16)
                    xx, xy = load(positions, at + 32), load(positions, at + 48)
                    yy = load(positions, at + 64)
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
                    through = load(state, block * 32)
                    weight = alpha * through
                    through = through * (one - alpha)
                    is_kept = through > MIN_TRANSMITTANCE
                    weight = where(is_kept, weight, zero)
                    store(state, block * 32, where(is_kept, through, zero))
                    own = spread(zero)
                    at = block * n_features * 16
                    for channel in range(n_features):
                        weighted = weight * load(gradients, at + channel * 16)
                        own += weighted * features[i, channel]
                        store(sums, channel * 16, load(sums, channel * 16) + weighted)
                    behind = load(state, block * 32 + 16) - own
                    store(state, block * 32 + 16, behind)
                    v = own - behind * (alpha * reciprocal(one - alpha))
                    v = where(both(is_kept, e <= MAX_ALPHA), v, zero)
                    sum_1 += v
                    sum_x += v * x
                    sum_y += v * y
                    sum_xx += v * xx
                    sum_xy += v * xy
                    sum_yy += v * yy
                store(slots, slot, sums_of((sum_1, sum_x, sum_y, sum_xx, sum_xy, sum_yy)))
                for channel in range(n_features):
                    slots[slot + 16 + channel] = total(load(sums, channel * 16))
            first += CHUNK
            for block in range(16):
                if bits_of(load(state, block * 32) > zero) == 0:
                    alive &= ~(1 << block)
        finish_one(counter)
    wait_for(counter, n_tiles)
