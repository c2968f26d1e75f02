"""The exact gradient of ``surfel_blending.py``."""

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
from shared.raster_kernels.surfel_tile_state import (
    N_PLANES,
    STATE,
    fill_state,
    read_others,
    read_tile,
)
from shared.raster_kernels.surfel_tiles import N_REGISTERS, ROW, hit, prepare_surfels
from shared.raster_kernels.tiles import (
    CHUNK,
    FLAGS,
    MAX_ALPHA,
    MIN_TRANSMITTANCE,
    find_slots,
)

SLOT_WIDTH = 19
# Of a slot: sums over a tile's pixels of 0 tu dx, 1 tu dy, 2 tv dx, 3 tv dy, 4 tw dx, 5 tw dy,
# 6 tu, 7 tv, 8 tw, 9 v2 ex, 10 v2 ey, 11 v, then the gradients in 12, 13, 14 red, green, blue,
# 15 depth, 16, 17, 18 normal, and the further channels. With v = d(loss)/d(log alpha), v3 its part
# where the plane's rho counts and v2 the rest: tu = v3 nu r^2 = -d(loss)/d(nu), tv likewise, and
# tw = v3 rho3 r = d(loss)/d(w).


@njit(fastmath=FLAGS, error_model="numpy")
def blend_surfels_backward(
    counter,
    surfels,
    colors,
    rects,
    starts,
    ids,
    positions,
    width,
    height,
    slot_of,
    slots,
    images,
    gradients,
):
    """Each pair of tile and surfel: its gradients of the loss, from those in the images.

    Walks front to back as ``blend_backward`` does. Distortion is a sum over pairs of weights; its
    gradient in one weight is 2 (z (A_front - A_behind) - D_front + D_behind) with A and D the
    sums of weights and of weights times depths, and the sum of weight times that is twice itself.

    Args:
        counter: Hands out tiles; see ``sharing.py``.
        surfels: As in ``blend_surfels``, like ``colors``, ``starts``, ``ids`` and ``positions``.
        colors: [N, C]
        rects: Tiles that each surfel touches. [N, 4]
        starts: [n_tiles + 1]
        ids: Surfels of each tile.
        positions: From ``lane_positions``.
        width: Image width in pixels.
        height: Image height in pixels.
        slot_of: From ``slot_starts``. [N + 1]
        slots: Written. [at least (SLOT_WIDTH + C - 3) * slot_of[N]]
        images: What ``blend_surfels`` wrote.
        gradients: Of the loss in the first seven of them; [0] where it does not look at one,
            never of the first.
    """
    n_others = colors.shape[1] - N_REGISTERS
    slot_width = SLOT_WIDTH + n_others
    n_tiles = starts.shape[0] - 1
    n_tiles_x = (width + 15) // 16
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    has_distortion, has_median = gradients[5].shape[0] > 0, gradients[6].shape[0] > 0
    table = np.empty(CHUNK * ROW, np.float32)
    forms = np.ones(CHUNK * 6, np.float32)
    masks = np.empty(CHUNK, np.int32)
    chunk_slots = np.empty(CHUNK, np.int64)
    state = np.empty(16 * STATE, np.float32)
    wanted = np.zeros(16 * 16 * n_others, np.float32)
    sums = np.empty(16 * n_others, np.float32)
    pictures = np.zeros((4, 768), np.float32)
    patches = np.zeros((N_PLANES, 256), np.float32)
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
        first = starts[tile]
        origin = surfels[ids[first], 11]
        if left + 16 > width or top + 16 > height:
            pictures[:] = 0
            patches[:] = 0
        read_tile(pictures, patches, images, gradients, width, height, left, top)
        for block in range(16):
            fill_state(state, pictures, patches, block, origin)
        if n_others > 0:
            read_others(wanted, state, images[1], gradients[1], width, height, left, top)
        alive = 0xFFFF
        while first < starts[tile + 1]:
            count = min(CHUNK, starts[tile + 1] - first)
            find_slots(chunk_slots, slot_of, rects, ids, first, count, tile_x, tile_y)
            if alive != 0:
                prepare_surfels(
                    table,
                    forms,
                    masks,
                    surfels,
                    colors,
                    ids,
                    first,
                    count,
                    centre_x,
                    centre_y,
                    origin,
                )
            for k in range(count):
                i = ids[first + k]
                slot = chunk_slots[k] * slot_width
                mask = np.int32(masks[k] & alive)
                if mask == 0:
                    for there in range(slot, slot + slot_width):
                        slots[there] = 0
                    continue
                row = np.uint16(k * ROW)
                rank = np.float32(first - starts[tile] + k)
                z = table[row + 11]
                red, green, blue = table[row + 15], table[row + 16], table[row + 17]
                normal_x, normal_y, normal_z = table[row + 12], table[row + 13], table[row + 14]
                sum_ux = sum_uy = sum_vx = sum_vy = sum_wx = sum_wy = spread(zero)
                sum_u = sum_v = sum_w = sum_ex = sum_ey = sum_1 = spread(zero)
                sum_red = sum_green = sum_blue = sum_z = spread(zero)
                sum_nx = sum_ny = sum_nz = spread(zero)
                sums[:] = 0
                while mask != 0:
                    block = lowest_bit(mask)
                    mask &= mask - 1
                    at = block * STATE
                    x, y = load(positions, block * 80), load(positions, block * 80 + 16)
                    dx, dy, nu, nv, r, rho3, ex, ey, is_plane, e, alpha = hit(table, row, x, y)
                    before = load(state, at)
                    weight = alpha * before
                    passed = one - alpha
                    through = before * passed
                    is_kept = through > MIN_TRANSMITTANCE
                    store(state, at, where(is_kept, through, zero))
                    weight = where(is_kept, weight, zero)
                    g_red, g_green = load(state, at + 48), load(state, at + 64)
                    g_blue, g_z = load(state, at + 80), load(state, at + 96)
                    g_nx, g_ny = load(state, at + 112), load(state, at + 128)
                    g_nz = load(state, at + 144)
                    sum_red += weight * g_red
                    sum_green += weight * g_green
                    sum_blue += weight * g_blue
                    sum_nx += weight * g_nx
                    sum_ny += weight * g_ny
                    sum_nz += weight * g_nz
                    sum_z += weight * g_z
                    gain = g_red * red + g_green * green + g_blue * blue + g_z * z
                    gain += g_nx * normal_x + g_ny * normal_y + g_nz * normal_z
                    if has_distortion:
                        g_apart = two * load(state, at + 160)
                        front = load(state, at + 32)
                        balance = two * (one - before) - load(state, at + 208) + weight
                        slant = load(state, at + 224) - two * front - weight * z
                        gain += g_apart * (balance * z + slant)
                        sum_z += g_apart * (weight * balance)
                        store(state, at + 32, front + weight * z)
                    if has_median:
                        place = load(state, at + 192)
                        is_median = both(place >= rank, place <= rank)
                        sum_z += where(is_median, load(state, at + 176), zero)
                    own = weight * gain
                    for channel in range(n_others):
                        there = (block * n_others + channel) * 16
                        weighted = weight * load(wanted, there)
                        own += weighted * colors[i, N_REGISTERS + channel]
                        store(sums, channel * 16, load(sums, channel * 16) + weighted)
                    behind = load(state, at + 16) - own
                    store(state, at + 16, behind)
                    v = own - behind * (alpha * reciprocal(passed))
                    v = where(both(is_kept, e <= MAX_ALPHA), v, zero)
                    on_plane = where(is_plane, v, zero)
                    low_passed = v - on_plane
                    q = on_plane * r
                    tw = q * rho3
                    q = q * r
                    tu, tv = q * nu, q * nv
                    # Off the plane r means nothing and may be infinite.
                    tu, tv = where(is_plane, tu, zero), where(is_plane, tv, zero)
                    tw = where(is_plane, tw, zero)
                    sum_ux += tu * dx
                    sum_uy += tu * dy
                    sum_vx += tv * dx
                    sum_vy += tv * dy
                    sum_wx += tw * dx
                    sum_wy += tw * dy
                    sum_u += tu
                    sum_v += tv
                    sum_w += tw
                    sum_ex += low_passed * ex
                    sum_ey += low_passed * ey
                    sum_1 += v
                geometry = (
                    sum_ux,
                    sum_uy,
                    sum_vx,
                    sum_vy,
                    sum_wx,
                    sum_wy,
                    sum_u,
                    sum_v,
                    sum_w,
                    sum_ex,
                    sum_ey,
                    sum_1,
                    sum_red,
                    sum_green,
                    sum_blue,
                    sum_z,
                )
                store(slots, slot, sums_of(geometry))
                slots[slot + 16] = total(sum_nx)
                slots[slot + 17] = total(sum_ny)
                slots[slot + 18] = total(sum_nz)
                for channel in range(n_others):
                    slots[slot + SLOT_WIDTH + channel] = total(load(sums, channel * 16))
            first += CHUNK
            for block in range(16):
                if bits_of(load(state, block * STATE) > zero) == 0:
                    alive &= ~(1 << block)
        finish_one(counter)
    wait_for(counter, n_tiles)
