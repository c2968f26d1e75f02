"""The exact gradient of ``blending.py``."""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import (
    load,
    load_rgb_rows,
    load_rows,
    store,
)
from shared.raster_kernels.lanes import (
    bits_of,
    both,
    lowest_bit,
    reciprocal,
    spread,
    sums_of,
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
    paint_chunk,
    power_of_two,
    prepare_chunk,
    read_patch,
)

SLOT_WIDTH = 16  # numbers in a slot: six of the footprint, r, g, b, depth


@njit(fastmath=FLAGS, error_model="numpy")
def blend_backward(
    counter,
    splats,
    colors,
    rects,
    starts,
    ids,
    positions,
    width,
    height,
    slot_of,
    slots,
    out_colors,
    out_alpha,
    out_depth,
    g_colors,
    g_alpha,
    g_depth,
):
    """Each pair of tile and splat: its gradients of the loss, from those in the images.

    Walks front to back like the forward pass. With S = the gradient-weighted colour of all that
    lies behind a splat, d(loss)/d(alpha) = T (c.g) - S / (1 - alpha). Each (tile, splat) pair has
    a slot of its own and each splat sums its slots in order, so the result is the same for any
    number of threads.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        splats: As in ``blend``, like ``colors``, ``starts``, ``ids`` and ``positions``.
        colors: [N, 3]
        rects: Tiles that each splat touches. [N, 4]
        starts: [n_tiles + 1]
        ids: Splats of each tile.
        positions: From ``lane_positions``.
        width: Image width in pixels.
        height: Image height in pixels.
        slot_of: From ``slot_starts``. [N + 1]
        slots: Written; see ``gathering.py``. [at least 16 * slot_of[N]]
        out_colors: What ``blend`` wrote. [H * W * 3]
        out_alpha: [H * W]
        out_depth: [H * W]
        g_colors: Gradient of the loss in ``out_colors``. [H * W * 3]
        g_alpha: Likewise. [H * W], or [0] where the loss does not look at it
        g_depth: Likewise.
    """
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    has_alpha, has_depth = g_alpha.shape[0] > 0, g_depth.shape[0] > 0
    has_alpha, has_depth = g_alpha.shape[0] > 0, g_depth.shape[0] > 0
    zero, one = np.float32(0), np.float32(1)
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    chunk_slots = np.empty(CHUNK, np.int64)
    # Of each block: X Y X2 XY Y2, T, S, gradients of r g b depth.
    work = np.empty(16 * 176, np.float32)
    color_patch = np.zeros(16 * 48, np.float32)
    color_gradient = np.zeros(16 * 48, np.float32)
    patches = np.zeros((4, 256), np.float32)
    alpha_patch, depth_patch = patches[0], patches[1]
    alpha_gradient, depth_gradient = patches[2], patches[3]
    for block in range(16):
        for lane in range(80):
            work[block * 176 + lane] = positions[block * 80 + lane]
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
        is_inside = left + 16 <= width and top + 16 <= height
        canvas, canvas_gradient = color_patch, color_gradient
        alphas, depths = alpha_patch, depth_patch
        alphas_gradient, depths_gradient = alpha_gradient, depth_gradient
        origin, pitch = 0, 16
        if is_inside:
            canvas, canvas_gradient = out_colors, g_colors
            alphas, depths = out_alpha, out_depth
            alphas_gradient, depths_gradient = g_alpha, g_depth
            origin, pitch = top * width + left, width
        else:
            for k in range(768):
                color_gradient[k] = 0
            read_patch(color_patch, out_colors, width, height, left, top, 3)
            read_patch(color_gradient, g_colors, width, height, left, top, 3)
            if has_alpha:
                for k in range(256):
                    alpha_gradient[k] = 0
                read_patch(alpha_patch, out_alpha, width, height, left, top, 1)
                read_patch(alpha_gradient, g_alpha, width, height, left, top, 1)
            if has_depth:
                for k in range(256):
                    depth_gradient[k] = 0
                read_patch(depth_patch, out_depth, width, height, left, top, 1)
                read_patch(depth_gradient, g_depth, width, height, left, top, 1)
        for block in range(16):
            at = block * 176
            corner = origin + (block >> 2) * 4 * pitch + (block & 3) * 4
            red, green, blue = load_rgb_rows(canvas, 3 * corner, 3 * pitch)
            g_red, g_green, g_blue = load_rgb_rows(canvas_gradient, 3 * corner, 3 * pitch)
            behind = red * g_red + green * g_green + blue * g_blue
            g_z = spread(zero)
            if has_depth:
                g_z = load_rows(depths_gradient, corner, pitch)
                behind += load_rows(depths, corner, pitch) * g_z
            if has_alpha:
                rest = one - load_rows(alphas, corner, pitch)
                behind = behind - rest * load_rows(alphas_gradient, corner, pitch)
            store(work, at + 80, spread(one))
            store(work, at + 96, behind)
            store(work, at + 112, g_red)
            store(work, at + 128, g_green)
            store(work, at + 144, g_blue)
            store(work, at + 160, g_z)
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1]:
            count = min(CHUNK, starts[tile + 1] - first)
            find_slots(chunk_slots, slot_of, rects, ids, first, count, tile_x, tile_y)
            if alive != 0:
                prepare_chunk(table, forms, masks, splats, ids, first, count, centre_x, centre_y)
                paint_chunk(table, splats, colors, ids, first, count)
            for j in range(count):
                slot = chunk_slots[j] * SLOT_WIDTH
                mask = np.int32(masks[j] & alive)
                if mask == 0:
                    store(slots, slot, spread(zero))
                    continue
                row = np.uint16(j * ROW)
                c0, c1, c2 = table[row], table[row + 1], table[row + 2]
                c3, c4, c5 = table[row + 3], table[row + 4], table[row + 5]
                red, green, blue = table[row + 6], table[row + 7], table[row + 8]
                depth = table[row + 9]
                sum_1 = sum_x = sum_y = sum_xx = sum_xy = sum_yy = spread(zero)
                sum_red = sum_green = sum_blue = sum_depth = spread(zero)
                while mask != 0:
                    at = lowest_bit(mask) * 176
                    mask &= mask - 1
                    x, y = load(work, at), load(work, at + 16)
                    xx, xy, yy = load(work, at + 32), load(work, at + 48), load(work, at + 64)
                    through = load(work, at + 80)
                    p = c0 + x * c1 + y * c2 + xx * c3 + xy * c4 + yy * c5
                    e = power_of_two(p)
                    alpha = where(p >= THRESHOLD, where(e <= MAX_ALPHA, e, MAX_ALPHA), zero)
                    weight = alpha * through
                    passed = one - alpha
                    through = through * passed
                    store(work, at + 80, through)
                    is_kept = through > MIN_TRANSMITTANCE
                    weight = where(is_kept, weight, zero)
                    g_red, g_green = load(work, at + 112), load(work, at + 128)
                    g_blue = load(work, at + 144)
                    own = weight * (g_red * red + g_green * green + g_blue * blue)
                    if has_depth:
                        g_z = load(work, at + 160)
                        own += weight * (g_z * depth)
                        sum_depth += weight * g_z
                    behind = load(work, at + 96) - own
                    store(work, at + 96, behind)
                    v = own - behind * (alpha * reciprocal(passed))
                    v = where(both(is_kept, e <= MAX_ALPHA), v, zero)
                    sum_1 += v
                    sum_x += v * x
                    sum_y += v * y
                    sum_xx += v * xx
                    sum_xy += v * xy
                    sum_yy += v * yy
                    sum_red += weight * g_red
                    sum_green += weight * g_green
                    sum_blue += weight * g_blue
                sums = (
                    sum_1,
                    sum_x,
                    sum_y,
                    sum_xx,
                    sum_xy,
                    sum_yy,
                    sum_red,
                    sum_green,
                    sum_blue,
                    sum_depth,
                )
                store(slots, slot, sums_of(sums))
            first += CHUNK
            for block in range(16):
                at = block * 176 + 80
                through = load(work, at)
                through = where(through > MIN_TRANSMITTANCE, through, zero)
                store(work, at, through)
                if bits_of(through > zero) == 0:
                    alive &= ~(1 << block)
        finish_one(counter)
    wait_for(counter, n_tiles)
