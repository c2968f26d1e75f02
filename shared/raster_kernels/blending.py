"""Blends tiles of splats front to back, and the exact gradient of that.

A tile is 16x16 px, cut into sixteen 4x4 blocks of 16 lanes that vectorise. Inside a tile a splat's
exponent is a polynomial in the pixel's position relative to the tile's centre,
p(X, Y) = c0 + c1 X + c2 Y + c3 X^2 + c4 XY + c5 Y^2, and alpha = (2^p)^8. For every splat a 16-bit
mask tells which blocks its ellipse alpha >= 1/255 meets.

Forward and backward share what they inline, so they share this file: see ``projection.py``.
"""

import numpy as np
from numba import njit, prange

FLAGS = {"nsz", "arcp", "contract", "afn", "reassoc", "nnan", "ninf"}

CHUNK = 256  # splats of a tile that are prepared at a time
LANES = 16
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
    positions = np.zeros((16, 5, LANES), np.float32)
    for block in range(16):
        for lane in range(LANES):
            x = (block % 4) * 4 + lane % 4 - 7.5
            y = (block // 4) * 4 + lane // 4 - 7.5
            positions[block, :, lane] = (x, y, x * x, x * y, y * y)
    return positions.reshape(-1)


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def prepare_chunk(table, masks, splats, colors, ids, first, count, centre_x, centre_y):
    """Fill polynomial, colour and depth [count, 12] and the block masks of a tile's next splats."""
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    for k in range(count):
        i = ids[first + k]
        u, v = splats[i, 0] - centre_x, splats[i, 1] - centre_y
        a, b, c = splats[i, 2], splats[i, 3], splats[i, 4]
        table[k, 0] = splats[i, 5] - (u * (a * u + b * v) + c * v * v)
        table[k, 1] = two * a * u + b * v
        table[k, 2] = two * c * v + b * u
        table[k, 3] = -a
        table[k, 4] = -b
        table[k, 5] = -c
        table[k, 6] = colors[i, 0]
        table[k, 7] = colors[i, 1]
        table[k, 8] = colors[i, 2]
        table[k, 9] = splats[i, 7]
        table[k, 10] = u
        table[k, 11] = v
        masks[k] = i
    for k in range(count):
        a, b, c, u, v = -table[k, 3], -table[k, 4], -table[k, 5], table[k, 10], table[k, 11]
        # The ellipse is dx = lean dy +- sqrt(reach/a - flat dy^2), widest to the right at
        # dy = rightmost and to the left at -rightmost.
        inverse_a = one / a
        lean = -half * b * inverse_a
        reach = splats[masks[k], 6] * inverse_a
        flat = c * inverse_a - lean * lean
        tallest = np.sqrt(reach / flat) + np.float32(1e-3)
        rightmost = lean * np.sqrt(reach / (flat * (flat + lean * lean)))
        mask = 0
        for band in range(4):
            top = np.float32(band * 4 - 7.5) - v
            low, high = max(top, -tallest), min(top + np.float32(3), tallest)
            y_right = min(max(rightmost, low), high)
            y_left = min(max(-rightmost, low), high)
            right = u + lean * y_right + np.sqrt(max(reach - flat * y_right * y_right, np.float32(0)))
            left = u + lean * y_left - np.sqrt(max(reach - flat * y_left * y_left, np.float32(0)))
            right += np.float32(7.501)
            left += np.float32(7.499)
            first_lane = np.int32(np.ceil(min(max(left, np.float32(0)), np.float32(16))))
            last_lane = np.int32(np.floor(min(max(right, np.float32(-1)), np.float32(15))))
            is_hit = low <= high and first_lane <= last_lane
            bits = ((2 << (last_lane >> 2)) - (1 << (first_lane >> 2))) << (4 * band)
            mask |= bits if is_hit else 0
        masks[k] = mask


@njit(parallel=True, cache=True, fastmath=FLAGS, error_model="numpy")
def blend(
    splats, colors, starts, ids, positions, background,
    out_colors, out_alpha, out_depth,
):
    """Draw splats with three channels.

    Args:
        splats: See ``projection.py``. [N, 8]
        colors: [N, 3]
        starts: Where each tile's list starts in ``ids``. [n_tiles + 1]
        ids: Splats of each tile, near first.
        positions: From ``lane_positions``.
        background: [H, W, 3] or [1, 1, 3]
        out_colors: Written. [H, W, 3]
        out_alpha: Written. [H, W]
        out_depth: Written, sum of weight times depth. [H, W]
    """
    height, width = out_alpha.shape
    n_tiles_x = (width + 15) // 16
    is_image = 1 if background.shape[0] > 1 or background.shape[1] > 1 else 0
    zero = np.float32(0)
    for tile in prange(starts.shape[0] - 1):
        tile_x, tile_y = tile % n_tiles_x, tile // n_tiles_x
        centre_x, centre_y = np.float32(tile_x * 16 + 8), np.float32(tile_y * 16 + 8)
        table = np.empty((CHUNK, 12), np.float32)
        masks = np.empty(CHUNK, np.int32)
        chosen = np.empty(CHUNK + 1, np.int32)
        # Of each block: running T (0 once done), r, g, b, depth, and the T that is reported.
        state = np.zeros((16, 6 * LANES), np.float32)
        work = np.empty(11 * LANES, np.float32)  # X Y X2 XY Y2, then the state
        for block in range(16):
            for lane in range(LANES):
                state[block, lane] = 1
                state[block, 5 * LANES + lane] = 1
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1] and alive != 0:
            count = min(CHUNK, starts[tile + 1] - first)
            prepare_chunk(table, masks, splats, colors, ids, first, count, centre_x, centre_y)
            for block in range(16):
                if (alive >> block) & 1 == 0:
                    continue
                n_chosen = 0
                for k in range(count):
                    chosen[n_chosen] = k
                    n_chosen += (masks[k] >> block) & 1
                if n_chosen == 0:
                    continue
                for lane in range(80):
                    work[lane] = positions[block * 80 + lane]
                for lane in range(96):
                    work[80 + lane] = state[block, lane]
                for k in range(n_chosen):
                    j = chosen[k]
                    c0, c1, c2 = table[j, 0], table[j, 1], table[j, 2]
                    c3, c4, c5 = table[j, 3], table[j, 4], table[j, 5]
                    red, green, blue, depth = table[j, 6], table[j, 7], table[j, 8], table[j, 9]
                    for lane in range(LANES):
                        p = (
                            c0 + c1 * work[lane] + c2 * work[16 + lane] + c3 * work[32 + lane]
                            + c4 * work[48 + lane] + c5 * work[64 + lane]
                        )
                        e = E0 + p * (E1 + p * (E2 + p * (E3 + p * (E4 + p * E5))))
                        e = e * e
                        e = e * e
                        e = e * e
                        alpha = min(e, MAX_ALPHA)
                        alpha = alpha if p >= THRESHOLD else zero
                        before = work[80 + lane]
                        after = before - alpha * before
                        is_kept = after > MIN_TRANSMITTANCE
                        weight = alpha * before if is_kept else zero
                        work[80 + lane] = after if is_kept else zero
                        work[160 + lane] = after if is_kept else work[160 + lane]
                        work[96 + lane] += weight * red
                        work[112 + lane] += weight * green
                        work[128 + lane] += weight * blue
                        work[144 + lane] += weight * depth
                    if k & 15 == 15:
                        most = zero
                        for lane in range(LANES):
                            most = max(most, work[80 + lane])
                        if most == 0:
                            break
                most = zero
                for lane in range(LANES):
                    most = max(most, work[80 + lane])
                if most == 0:
                    alive &= ~(1 << block)
                for lane in range(96):
                    state[block, lane] = work[80 + lane]
            first += CHUNK
        for row in range(min(16, height - tile_y * 16)):
            for column in range(min(16, width - tile_x * 16)):
                block, lane = (row >> 2) * 4 + (column >> 2), (row & 3) * 4 + (column & 3)
                y, x = tile_y * 16 + row, tile_x * 16 + column
                rest = state[block, 80 + lane]
                out_alpha[y, x] = np.float32(1) - rest
                out_depth[y, x] = state[block, 64 + lane]
                for channel in range(3):
                    out_colors[y, x, channel] = (
                        state[block, 16 + 16 * channel + lane]
                        + rest * background[y * is_image, x * is_image, channel]
                    )


@njit(inline="always", fastmath=FLAGS, error_model="numpy")
def slot_starts(rects):
    """Where each splat's gradient slots begin, one slot for each tile in its rectangle. [N + 1]"""
    starts = np.empty(rects.shape[0] + 1, np.int64)
    total = np.int64(0)
    for i in range(rects.shape[0]):
        starts[i] = total
        total += (rects[i, 1] - rects[i, 0] + 1) * np.int64(rects[i, 3] - rects[i, 2] + 1)
    starts[rects.shape[0]] = total
    return starts


@njit(parallel=True, cache=True, fastmath=FLAGS, error_model="numpy")
def blend_backward(
    splats, colors, rects, starts, ids, positions,
    out_colors, out_alpha, out_depth, g_colors, g_alpha, g_depth,
    v_means2d, v_conics, v_opacities, v_colors, v_depths,
):
    """Gradients of the loss in the splats from those in the images.

    Walks front to back like the forward pass. With S = the gradient-weighted colour of all that
    lies behind a splat, d(loss)/d(alpha) = T (c.g) - S / (1 - alpha). Each (tile, splat) pair has
    a slot of its own and each splat sums its slots in order, so the result is the same for any
    number of threads.

    Args:
        splats: As in ``blend``, like ``colors``, ``starts``, ``ids`` and ``positions``.
        colors: [N, 3]
        rects: Tiles that each splat touches. [N, 4]
        starts: [n_tiles + 1]
        ids: Splats of each tile.
        positions: From ``lane_positions``.
        out_colors: What ``blend`` wrote. [H, W, 3]
        out_alpha: [H, W]
        out_depth: [H, W]
        g_colors: Gradient of the loss in ``out_colors``; likewise the next two.
        g_alpha: [H, W]
        g_depth: [H, W]
        v_means2d: Written, px^-1. [N, 2]
        v_conics: Written, in xx, xy (both off-diagonal entries together), yy. [N, 3]
        v_opacities: Written. [N]
        v_colors: Written. [N, 3]
        v_depths: Written. [N]
    """
    height, width = out_alpha.shape
    n_tiles_x = (width + 15) // 16
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    slot_of = slot_starts(rects)
    slots = np.zeros((slot_of[rects.shape[0]], 12), np.float32)
    for tile in prange(starts.shape[0] - 1):
        if starts[tile] == starts[tile + 1]:
            continue
        tile_x, tile_y = tile % n_tiles_x, tile // n_tiles_x
        centre_x, centre_y = np.float32(tile_x * 16 + 8), np.float32(tile_y * 16 + 8)
        table = np.empty((CHUNK, 12), np.float32)
        masks = np.empty(CHUNK, np.int32)
        # Of each block: X Y X2 XY Y2, T, S, gradients of r g b depth; then ten accumulators.
        work = np.zeros(16 * 176 + 160, np.float32)
        sums = 16 * 176
        for block in range(16):
            for lane in range(80):
                work[block * 176 + lane] = positions[block * 80 + lane]
        for row in range(min(16, height - tile_y * 16)):
            for column in range(min(16, width - tile_x * 16)):
                at = ((row >> 2) * 4 + (column >> 2)) * 176 + (row & 3) * 4 + (column & 3)
                y, x = tile_y * 16 + row, tile_x * 16 + column
                work[at + 80] = 1
                behind = g_depth[y, x] * out_depth[y, x] - g_alpha[y, x] * (one - out_alpha[y, x])
                for channel in range(3):
                    g = g_colors[y, x, channel]
                    work[at + 112 + 16 * channel] = g
                    behind += g * out_colors[y, x, channel]
                work[at + 96] = behind
                work[at + 160] = g_depth[y, x]
        alive = 0xFFFF
        first = starts[tile]
        while first < starts[tile + 1] and alive != 0:
            count = min(CHUNK, starts[tile + 1] - first)
            prepare_chunk(table, masks, splats, colors, ids, first, count, centre_x, centre_y)
            for j in range(count):
                mask = masks[j] & alive
                if mask == 0:
                    continue
                c0, c1, c2 = table[j, 0], table[j, 1], table[j, 2]
                c3, c4, c5 = table[j, 3], table[j, 4], table[j, 5]
                red, green, blue, depth = table[j, 6], table[j, 7], table[j, 8], table[j, 9]
                for lane in range(160):
                    work[sums + lane] = 0
                for block in range(16):
                    if (mask >> block) & 1 == 0:
                        continue
                    at = block * 176
                    for lane in range(LANES):
                        big_x, big_y = work[at + lane], work[at + 16 + lane]
                        xx, xy, yy = work[at + 32 + lane], work[at + 48 + lane], work[at + 64 + lane]
                        p = c0 + c1 * big_x + c2 * big_y + c3 * xx + c4 * xy + c5 * yy
                        e = E0 + p * (E1 + p * (E2 + p * (E3 + p * (E4 + p * E5))))
                        e = e * e
                        e = e * e
                        e = e * e
                        alpha = min(e, MAX_ALPHA)
                        alpha = alpha if p >= THRESHOLD else zero
                        before = work[at + 80 + lane]
                        after = before - alpha * before
                        is_kept = after > MIN_TRANSMITTANCE
                        weight = alpha * before if is_kept else zero
                        work[at + 80 + lane] = after if is_kept else zero
                        g_red, g_green = work[at + 112 + lane], work[at + 128 + lane]
                        g_blue, g_z = work[at + 144 + lane], work[at + 160 + lane]
                        own = weight * (red * g_red + green * g_green + blue * g_blue + depth * g_z)
                        behind = work[at + 96 + lane] - own
                        work[at + 96 + lane] = behind
                        v = own - behind * weight / (after if is_kept else one)
                        v = v if e <= MAX_ALPHA and weight > zero else zero
                        work[sums + lane] += v
                        work[sums + 16 + lane] += v * big_x
                        work[sums + 32 + lane] += v * big_y
                        work[sums + 48 + lane] += v * xx
                        work[sums + 64 + lane] += v * xy
                        work[sums + 80 + lane] += v * yy
                        work[sums + 96 + lane] += weight * g_red
                        work[sums + 112 + lane] += weight * g_green
                        work[sums + 128 + lane] += weight * g_blue
                        work[sums + 144 + lane] += weight * g_z
                i = ids[first + j]
                slot = slot_of[i] + (tile_y - rects[i, 2]) * np.int64(rects[i, 1] - rects[i, 0] + 1)
                slot += tile_x - rects[i, 0]
                for k in range(10):
                    total = zero
                    for lane in range(LANES):
                        total += work[sums + 16 * k + lane]
                    slots[slot, k] = total
            first += CHUNK
            for block in range(16):
                most = zero
                for lane in range(LANES):
                    most = max(most, work[block * 176 + 80 + lane])
                if most == 0:
                    alive &= ~(1 << block)
    for i in prange(splats.shape[0]):
        # Moments about each tile's centre, moved to the splat's own centre: with E the exponent
        # in nats, these are the sums of dE times 1, dx, dy, dx^2, dx dy, dy^2.
        m, mx, my, mxx, mxy, myy = zero, zero, zero, zero, zero, zero
        red, green, blue, z = zero, zero, zero, zero
        slot = slot_of[i]
        for tile_y in range(rects[i, 2], rects[i, 3] + 1):
            for tile_x in range(rects[i, 0], rects[i, 1] + 1):
                u = splats[i, 0] - np.float32(tile_x * 16 + 8)
                v = splats[i, 1] - np.float32(tile_y * 16 + 8)
                s, sx, sy = slots[slot, 0], slots[slot, 1], slots[slot, 2]
                m += s
                mx += sx - u * s
                my += sy - v * s
                mxx += slots[slot, 3] - two * u * sx + u * u * s
                mxy += slots[slot, 4] - u * sy - v * sx + u * v * s
                myy += slots[slot, 5] - two * v * sy + v * v * s
                red += slots[slot, 6]
                green += slots[slot, 7]
                blue += slots[slot, 8]
                z += slots[slot, 9]
                slot += 1
        a = splats[i, 2] * (two / LOG8_E)
        b = splats[i, 3] / LOG8_E
        c = splats[i, 4] * (two / LOG8_E)
        v_means2d[i, 0] = a * mx + b * my
        v_means2d[i, 1] = b * mx + c * my
        v_conics[i, 0] = np.float32(-0.5) * mxx
        v_conics[i, 1] = -mxy
        v_conics[i, 2] = np.float32(-0.5) * myy
        opacity = np.float32(2) ** (np.float32(8) * splats[i, 5])
        v_opacities[i] = m / opacity if m != zero else zero
        v_colors[i, 0] = red
        v_colors[i, 1] = green
        v_colors[i, 2] = blue
        v_depths[i] = z
