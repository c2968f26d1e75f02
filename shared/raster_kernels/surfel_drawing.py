"""Runs the kernels of surfels in order: project, sort, bin, blend; and backwards."""

from typing import NamedTuple

import numpy as np

from shared.raster_kernels import surfel_passes
from shared.raster_kernels.drawing import (
    SLOTS,
    Camera,
    FloatArray,
    Images,
    Lists,
    Splats,
    empty_lists,
    lane_positions,
    refuse_bad,
    sort_by_depth,
)
from shared.raster_kernels.surfel_blending_backward import SLOT_WIDTH
from shared.raster_kernels.surfel_projection import SURFEL_WIDTH
from shared.raster_kernels.surfel_tiles import N_REGISTERS
from shared.raster_kernels.teamwork import work_together

DEPTH_COLUMN = 11
GRADIENT_WIDTH = 15


class Gradients(NamedTuple):
    """Of the loss, in what was drawn."""

    means: FloatArray  # [N, 3]
    quats: FloatArray  # [N, 4]
    scales: FloatArray  # [N, 2]
    opacities: FloatArray  # [N]
    colors: FloatArray  # [N, C]


def project(inputs: list[FloatArray], camera: Camera) -> Splats:
    """Surfels as pixels see them, from means, quats, scales and opacities.

    Raises:
        InvalidInput: ``bad_gaussians``: a number is not finite, or a quaternion is zero, or they
            touch too many tiles.
    """
    n = inputs[0].shape[0]
    values = np.empty((n, SURFEL_WIDTH), np.float32)
    rects = np.empty((n, 4), np.int16)
    bad = np.empty(n, np.uint8)
    size = (camera.width, camera.height)
    results = (values, rects, bad)
    work_together(surfel_passes.project, 1, tuple(inputs), camera.parameters, *size, results)
    refuse_bad(bad)
    return sort_by_depth(values, rects, DEPTH_COLUMN)


def blend(
    surfels: Splats, colors: FloatArray, background: FloatArray, camera: Camera, images: Images
) -> Lists:
    """Fill ``images``, flat; their order is that of ``blend_surfels``, colours at least three."""
    size = (camera.width, camera.height)
    lists, listing = empty_lists(surfels, size)
    painting = (colors, lane_positions(), background, *size)
    work_together(surfel_passes.list_and_blend, 4, surfels.values, listing, painting, images)
    return lists


def backward(
    inputs: list[FloatArray],
    camera: Camera,
    drawn: tuple[FloatArray, Lists],
    images: Images,
    gradients: Images,
) -> Gradients:
    """Gradients from those in the images.

    Args:
        inputs: means, quats, scales, colors.
        camera: As for drawing.
        drawn: Values of the projected surfels, and the lists of the tiles.
        images: From ``blend``.
        gradients: In the first seven of them, flat; empty where there is none.
    """
    values, lists = drawn
    colors = inputs[3]
    n, n_channels = colors.shape
    shapes = [(n, 3), (n, 4), (n, 2), (n,), (n, n_channels)]
    result = Gradients(*(np.empty(shape, np.float32) for shape in shapes))
    slots = SLOTS.take(int(lists.slot_of[n]) * (SLOT_WIDTH + n_channels - N_REGISTERS))
    painting = (colors, lane_positions(), camera.width, camera.height)
    work_together(
        surfel_passes.unblend,
        3,
        tuple(inputs[:3]),
        camera.parameters,
        values,
        tuple(lists),
        painting,
        images,
        gradients,
        slots,
        (np.empty((n, GRADIENT_WIDTH), np.float32), *result),
    )
    SLOTS.give_back(slots)
    return result
