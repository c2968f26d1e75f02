"""Blends tiles of surfels front to back, with normals, distortion and median depth."""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import (
    load,
    load_rgb_rows,
    store,
    store_rgb_rows,
    store_rows,
)
from shared.raster_kernels.lanes import bits_of, both, spread, where
from shared.raster_kernels.sharing import finish_one, take_next, wait_for
from shared.raster_kernels.surfel_tiles import N_REGISTERS, ROW, hit, prepare_surfels
from shared.raster_kernels.tiles import (
    CHECK_EVERY,
    CHUNK,
    FLAGS,
    MIN_TRANSMITTANCE,
    read_patch,
    write_patch,
)

STATE = 192  # numbers of a block's state: twelve lanes
# T, T after the last surfel drawn, r, g, b, depth, normal (3), distortion, median, its place.


@njit(fastmath=FLAGS, error_model="numpy")
def blend_surfels(
    counter, surfels, colors, starts, ids, positions, background, width, height, images
):
    """Draw surfels.

    Depths are counted from a tile's first surfel while they are summed up: distortion is a
    difference of depths that are much larger than it, and does not change with their origin.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        surfels: See ``surfel_projection.py``. [N, 20]
        colors: Three channels at least. [N, C]
        starts: Where each tile's list starts in ``ids``. [n_tiles + 1]
        ids: Surfels of each tile, near first.
        positions: From ``lane_positions``.
        background: An image [H * W * C] or one pixel [C].
        width: Image width in pixels.
        height: Image height in pixels.
        images: Written: the first three channels [H * W * 3], the others [H * W * (C - 3)],
            alpha [H * W], depth, normals [H * W * 3], distortion, median depth, and the place of
            its surfel in the tile's list, -1 where there is none.
    """
    out_colors, out_others, out_alpha, out_depth, out_normals, out_distortion = images[:6]
    out_median, out_place = images[6], images[7]
    n_others = colors.shape[1] - N_REGISTERS
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    is_image = background.shape[0] > colors.shape[1]
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    chosen = np.empty(CHUNK + 1, np.int32)
    state = np.empty(16 * STATE, np.float32)
    others = np.empty(16 * 16 * n_others, np.float32)
    color_patch = np.zeros(768, np.float32)
    normal_patch = np.zeros(768, np.float32)
    patches = np.zeros((5, 256), np.float32)
    while True:
        tile = take_next(counter)
        if tile >= n_tiles:
            break
        left, top = (tile % n_tiles_x) * 16, (tile // n_tiles_x) * 16
        centre_x, centre_y = np.float32(left + 8), np.float32(top + 8)
        for k in range(16 * STATE):
            state[k] = 0
        for block in range(16):
            store(state, block * STATE, spread(one))
            store(state, block * STATE + 16, spread(one))
            store(state, block * STATE + 176, spread(-one))
        others[:] = 0
        first = starts[tile]
        origin = surfels[ids[first], 11] if first < starts[tile + 1] else zero
        alive = 0xFFFF
        while first < starts[tile + 1] and alive != 0:
            count = min(CHUNK, starts[tile + 1] - first)
            prepare_surfels(
                table, forms, masks, surfels, colors, ids, first, count, centre_x, centre_y, origin
            )
            for block in range(16):
                if (alive >> block) & 1 == 0:
                    continue
                n_chosen = 0
                for k in range(count):
                    chosen[n_chosen] = k
                    n_chosen += (masks[k] >> block) & 1
                if n_chosen == 0:
                    continue
                x, y = load(positions, block * 80), load(positions, block * 80 + 16)
                at = block * STATE
                through, rest = load(state, at), load(state, at + 16)
                red, green, blue = load(state, at + 32), load(state, at + 48), load(state, at + 64)
                depth = load(state, at + 80)
                nx, ny, nz = load(state, at + 96), load(state, at + 112), load(state, at + 128)
                distortion, median = load(state, at + 144), load(state, at + 160)
                place = load(state, at + 176)
                for j in range(n_chosen):
                    k = chosen[j]
                    row = np.uint16(k * ROW)
                    alpha = hit(table, row, x, y)[10]
                    weight = alpha * through
                    is_near = through > half
                    hidden = one - through
                    through = through * (one - alpha)
                    is_kept = through > MIN_TRANSMITTANCE
                    weight = where(is_kept, weight, zero)
                    rest = where(is_kept, through, rest)
                    z = table[row + 11]
                    distortion += weight * (hidden * z - depth)
                    depth += weight * z
                    is_median = both(is_near, weight > zero)
                    median = where(is_median, z, median)
                    place = where(is_median, np.float32(first - starts[tile] + k), place)
                    red += weight * table[row + 15]
                    green += weight * table[row + 16]
                    blue += weight * table[row + 17]
                    nx += weight * table[row + 12]
                    ny += weight * table[row + 13]
                    nz += weight * table[row + 14]
                    i = ids[first + k]
                    for channel in range(n_others):
                        there = (block * n_others + channel) * 16
                        color = colors[i, N_REGISTERS + channel]
                        store(others, there, load(others, there) + weight * color)
                    if j % CHECK_EVERY == CHECK_EVERY - 1:
                        # Zero also keeps finished pixels away from slow denormal numbers.
                        through = where(through > MIN_TRANSMITTANCE, through, zero)
                        if bits_of(through > zero) == 0:
                            break
                through = where(through > MIN_TRANSMITTANCE, through, zero)
                if bits_of(through > zero) == 0:
                    alive &= ~(1 << block)
                store(state, at, through)
                store(state, at + 16, rest)
                store(state, at + 32, red)
                store(state, at + 48, green)
                store(state, at + 64, blue)
                store(state, at + 80, depth)
                store(state, at + 96, nx)
                store(state, at + 112, ny)
                store(state, at + 128, nz)
                store(state, at + 144, distortion)
                store(state, at + 160, median)
                store(state, at + 176, place)
            first += CHUNK
        if is_image:
            read_image(color_patch, background, width, height, left, top, colors.shape[1])
        else:
            for k in range(768):
                color_patch[k] = background[k % 3]
        for block in range(16):
            at = block * STATE
            corner = (block >> 2) * 64 + (block & 3) * 4
            rest = load(state, at + 16)
            place = load(state, at + 176)
            red, green, blue = load_rgb_rows(color_patch, 3 * corner, 48)
            red = red * rest + load(state, at + 32)
            green = green * rest + load(state, at + 48)
            blue = blue * rest + load(state, at + 64)
            store_rgb_rows(color_patch, 3 * corner, 48, red, green, blue)
            nx, ny, nz = load(state, at + 96), load(state, at + 112), load(state, at + 128)
            store_rgb_rows(normal_patch, 3 * corner, 48, nx, ny, nz)
            store_rows(patches[0], corner, 16, one - rest)
            store_rows(patches[1], corner, 16, load(state, at + 80) + (one - rest) * origin)
            store_rows(patches[2], corner, 16, load(state, at + 144) * np.float32(2))
            median = where(place >= zero, load(state, at + 160) + origin, zero)
            store_rows(patches[3], corner, 16, median)
            store_rows(patches[4], corner, 16, place)
        write_patch(color_patch, out_colors, width, height, left, top, 3)
        write_patch(normal_patch, out_normals, width, height, left, top, 3)
        write_patch(patches[0], out_alpha, width, height, left, top, 1)
        write_patch(patches[1], out_depth, width, height, left, top, 1)
        write_patch(patches[2], out_distortion, width, height, left, top, 1)
        write_patch(patches[3], out_median, width, height, left, top, 1)
        write_patch(patches[4], out_place, width, height, left, top, 1)
        if n_others > 0:
            write_others(others, state, background, out_others, width, height, left, top)
        finish_one(counter)
    wait_for(counter, n_tiles)


@njit(fastmath=FLAGS, error_model="numpy")
def read_image(patch, image, width, height, left, top, n_channels):
    """Copy the first three channels of ``image`` [H * W * C] to ``patch`` [16 * 16 * 3]."""
    if n_channels == N_REGISTERS:
        read_patch(patch, image, width, height, left, top, 3)
        return
    for dy in range(min(16, height - top)):
        for dx in range(min(16, width - left)):
            there = ((top + dy) * width + left + dx) * n_channels
            for channel in range(3):
                patch[(dy * 16 + dx) * 3 + channel] = image[there + channel]


@njit(fastmath=FLAGS, error_model="numpy")
def write_others(others, state, background, image, width, height, left, top):
    """Write a tile's further channels over the background, pixel by pixel."""
    n_others = others.shape[0] // 256
    n_channels = n_others + N_REGISTERS
    is_image = background.shape[0] > n_channels
    for dy in range(min(16, height - top)):
        for dx in range(min(16, width - left)):
            block, lane = (dy >> 2) * 4 + (dx >> 2), (dy & 3) * 4 + (dx & 3)
            pixel = (top + dy) * width + left + dx
            rest = state[block * STATE + 16 + lane]
            behind = (pixel * n_channels if is_image else 0) + N_REGISTERS
            for channel in range(n_others):
                value = others[(block * n_others + channel) * 16 + lane]
                value += rest * background[behind + channel]
                image[pixel * n_others + channel] = value
