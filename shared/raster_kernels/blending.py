"""Blends tiles of RGB splats front to back."""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import (
    load,
    load_rgb_rows,
    store,
    store_rgb_rows,
    store_rows,
)
from shared.raster_kernels.lanes import (
    bits_of,
    spread,
    where,
)
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.tiles import (
    CHECK_EVERY,
    CHUNK,
    FLAGS,
    MAX_ALPHA,
    MIN_TRANSMITTANCE,
    ROW,
    THRESHOLD,
    paint_chunk,
    power_of_two,
    prepare_chunk,
    read_patch,
    write_patch,
)


@njit(fastmath=FLAGS, error_model="numpy")
def blend(
    counter,
    splats,
    colors,
    starts,
    ids,
    positions,
    background,
    width,
    height,
    out_colors,
    out_alpha,
    out_depth,
):
    """Draw splats with three channels.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        splats: See ``projection.py``. [N, 8]
        colors: [N, 3]
        starts: Where each tile's list starts in ``ids``. [n_tiles + 1]
        ids: Splats of each tile, near first.
        positions: From ``lane_positions``.
        background: An image [H * W * 3] or one pixel [3].
        width: Image width in pixels.
        height: Image height in pixels.
        out_colors: Written. [H * W * 3]
        out_alpha: Written. [H * W]
        out_depth: Written, sum of weight times depth. [H * W]
    """
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    is_image = background.shape[0] > colors.shape[1]
    zero, one = np.float32(0), np.float32(1)
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    chosen = np.empty(CHUNK + 1, np.uint16)
    # Of each block: T, r, g, b, depth, and the T after the last splat that was drawn.
    state = np.empty(16 * 96, np.float32)
    color_patch = np.zeros(16 * 48, np.float32)
    alpha_patch = np.empty(256, np.float32)
    depth_patch = np.empty(256, np.float32)
    plain = np.empty(48, np.float32)
    for k in range(48):
        plain[k] = background[k % 3]
    while True:
        tile = take_next(counter)
        if tile >= n_tiles:
            break
        left, top = (tile % n_tiles_x) * 16, (tile // n_tiles_x) * 16
        centre_x, centre_y = np.float32(left + 8), np.float32(top + 8)
        for block in range(16):
            at = block * 96
            store(state, at, spread(one))
            store(state, at + 16, spread(zero))
            store(state, at + 32, spread(zero))
            store(state, at + 48, spread(zero))
            store(state, at + 64, spread(zero))
            store(state, at + 80, spread(one))
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1] and alive != 0:
            count = min(CHUNK, starts[tile + 1] - first)
            prepare_chunk(table, forms, masks, splats, ids, first, count, centre_x, centre_y)
            paint_chunk(table, splats, colors, ids, first, count)
            for block in range(16):
                if (alive >> block) & 1 == 0:
                    continue
                n_chosen = 0
                for k in range(count):
                    chosen[n_chosen] = k * ROW
                    n_chosen += (masks[k] >> block) & 1
                if n_chosen == 0:
                    continue
                at = block * 80
                x, y = load(positions, at), load(positions, at + 16)
                xx, xy, yy = (
                    load(positions, at + 32),
                    load(positions, at + 48),
                    load(positions, at + 64),
                )
                at = block * 96
                through, rest = load(state, at), load(state, at + 80)
                red, green = load(state, at + 16), load(state, at + 32)
                blue, depth = load(state, at + 48), load(state, at + 64)
                for k in range(n_chosen):
                    row = chosen[k]
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
                    # T only falls, so a pixel that is done stays done without a flag, and
                    # the chain from splat to splat is a single multiplication.
                    weight = alpha * through
                    through = through * (one - alpha)
                    is_kept = through > MIN_TRANSMITTANCE
                    weight = where(is_kept, weight, zero)
                    rest = where(is_kept, through, rest)
                    red += weight * table[row + 6]
                    green += weight * table[row + 7]
                    blue += weight * table[row + 8]
                    depth += weight * table[row + 9]
                    if k % CHECK_EVERY == CHECK_EVERY - 1:
                        # Zero also keeps finished pixels away from slow denormal numbers.
                        through = where(through > MIN_TRANSMITTANCE, through, zero)
                        if bits_of(through > zero) == 0:
                            break
                through = where(through > MIN_TRANSMITTANCE, through, zero)
                if bits_of(through > zero) == 0:
                    alive &= ~(1 << block)
                store(state, at, through)
                store(state, at + 16, red)
                store(state, at + 32, green)
                store(state, at + 48, blue)
                store(state, at + 64, depth)
                store(state, at + 80, rest)
            first += CHUNK
        # A tile that sticks out of the image is written to patches and copied.
        is_inside = left + 16 <= width and top + 16 <= height
        canvas, alphas, depths = color_patch, alpha_patch, depth_patch
        origin, pitch = 0, 16
        if is_inside:
            canvas, alphas, depths = out_colors, out_alpha, out_depth
            origin, pitch = top * width + left, width
        behind = plain
        behind_origin, behind_pitch = 0, 0
        if is_image:
            behind, behind_origin, behind_pitch = background, origin, pitch
            if not is_inside:
                read_patch(color_patch, background, width, height, left, top, 3)
                behind = color_patch
        for block in range(16):
            at = block * 96
            dy, dx = (block >> 2) * 4, (block & 3) * 4
            rest = load(state, at + 80)
            red, green, blue = load_rgb_rows(
                behind, 3 * (behind_origin + dy * behind_pitch + dx), 3 * behind_pitch
            )
            red = red * rest + load(state, at + 16)
            green = green * rest + load(state, at + 32)
            blue = blue * rest + load(state, at + 48)
            corner = origin + dy * pitch + dx
            store_rgb_rows(canvas, 3 * corner, 3 * pitch, red, green, blue)
            store_rows(alphas, corner, pitch, one - rest)
            store_rows(depths, corner, pitch, load(state, at + 64))
        if not is_inside:
            write_patch(color_patch, out_colors, width, height, left, top, 3)
            write_patch(alpha_patch, out_alpha, width, height, left, top, 1)
            write_patch(depth_patch, out_depth, width, height, left, top, 1)
        finish_one(counter)
    wait_for(counter, n_tiles)
