"""What the backward pass over a tile of surfels starts from: pictures, gradients, blocks' state."""

import numpy as np
from numba import njit

from shared.raster_kernels.lane_memory import load_rgb_rows, load_rows, store
from shared.raster_kernels.lanes import spread
from shared.raster_kernels.tiles import FLAGS, read_patch

STATE = 240  # numbers of a block's state: fifteen lanes
# T, S, depth in front; gradients in r, g, b, depth, normal (3), distortion, median; the median's
# place, alpha, depth.
N_PLANES = 8


@njit(fastmath=FLAGS, error_model="numpy")
def read_tile(pictures, patches, images, gradients, width, height, left, top):
    """Copy a tile of the images and gradients; a gradient that is not there stays 0.

    Args:
        pictures: Written: colours, normals, and their gradients. [4, 16 * 16 * 3]
        patches: Written: alpha, depth, distortion, place; gradients in alpha, depth, distortion
            and median. [8, 16 * 16]
        images: See ``blend_surfels``.
        gradients: See ``blend_surfels_backward``.
        width: px
        height: px
        left: Of the tile, px.
        top: Likewise.
    """
    read_patch(pictures[0], images[0], width, height, left, top, 3)
    read_patch(pictures[2], gradients[0], width, height, left, top, 3)
    if gradients[4].shape[0] > 0:
        read_patch(pictures[1], images[4], width, height, left, top, 3)
        read_patch(pictures[3], gradients[4], width, height, left, top, 3)
    read_patch(patches[0], images[2], width, height, left, top, 1)
    read_patch(patches[1], images[3], width, height, left, top, 1)
    read_patch(patches[3], images[7], width, height, left, top, 1)
    if gradients[2].shape[0] > 0:
        read_patch(patches[4], gradients[2], width, height, left, top, 1)
    if gradients[3].shape[0] > 0:
        read_patch(patches[5], gradients[3], width, height, left, top, 1)
    if gradients[5].shape[0] > 0:
        read_patch(patches[2], images[5], width, height, left, top, 1)
        read_patch(patches[6], gradients[5], width, height, left, top, 1)
    if gradients[6].shape[0] > 0:
        read_patch(patches[7], gradients[6], width, height, left, top, 1)


@njit(fastmath=FLAGS, error_model="numpy")
def fill_state(state, pictures, patches, block, origin):
    """A block's state before the first surfel; depths become relative to ``origin``."""
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    at = block * STATE
    corner = (block >> 2) * 64 + (block & 3) * 4
    red, green, blue = load_rgb_rows(pictures[0], 3 * corner, 48)
    nx, ny, nz = load_rgb_rows(pictures[1], 3 * corner, 48)
    g_red, g_green, g_blue = load_rgb_rows(pictures[2], 3 * corner, 48)
    g_nx, g_ny, g_nz = load_rgb_rows(pictures[3], 3 * corner, 48)
    alpha = load_rows(patches[0], corner, 16)
    depth = load_rows(patches[1], corner, 16) - alpha * origin
    g_depth, g_apart = load_rows(patches[5], corner, 16), load_rows(patches[6], corner, 16)
    g_alpha = load_rows(patches[4], corner, 16) + g_depth * origin
    behind = red * g_red + green * g_green + blue * g_blue
    behind += nx * g_nx + ny * g_ny + nz * g_nz
    behind += depth * g_depth + two * g_apart * load_rows(patches[2], corner, 16)
    behind = behind - (one - alpha) * g_alpha
    store(state, at, spread(one))
    store(state, at + 16, behind)
    store(state, at + 32, spread(zero))
    store(state, at + 48, g_red)
    store(state, at + 64, g_green)
    store(state, at + 80, g_blue)
    store(state, at + 96, g_depth)
    store(state, at + 112, g_nx)
    store(state, at + 128, g_ny)
    store(state, at + 144, g_nz)
    store(state, at + 160, g_apart)
    store(state, at + 176, load_rows(patches[7], corner, 16))
    store(state, at + 192, load_rows(patches[3], corner, 16))
    store(state, at + 208, alpha)
    store(state, at + 224, depth)


@njit(fastmath=FLAGS, error_model="numpy")
def read_others(wanted, state, image, gradient, width, height, left, top):
    """Further channels' gradients of a tile, and what they add to what lies behind."""
    n_others = wanted.shape[0] // 256
    wanted[:] = 0
    for dy in range(min(16, height - top)):
        for dx in range(min(16, width - left)):
            block, lane = (dy >> 2) * 4 + (dx >> 2), (dy & 3) * 4 + (dx & 3)
            pixel = (top + dy) * width + left + dx
            behind = np.float32(0)
            for channel in range(n_others):
                g = gradient[pixel * n_others + channel]
                wanted[(block * n_others + channel) * 16 + lane] = g
                behind += g * image[pixel * n_others + channel]
            state[block * STATE + 16 + lane] += behind
