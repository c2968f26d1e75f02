"""What runs in parallel for surfels: the passes of ``passes.py`` once more.

``INLINED`` must change with what this file imports, or Numba's cache runs old code (a test tells).
"""

from numba import njit, prange

from shared.raster_kernels.binning import list_pairs
from shared.raster_kernels.surfel_blending import blend_surfels
from shared.raster_kernels.surfel_blending_backward import blend_surfels_backward
from shared.raster_kernels.surfel_gathering import gather_surfels
from shared.raster_kernels.surfel_projection import project_surfels
from shared.raster_kernels.surfel_projection_backward import project_surfels_backward

INLINED = "3318f2fd67f1c902"
"""Start of the SHA-256 of the files that the passes are made of."""


@njit(parallel=True, nogil=True, cache=True)
def project(n_threads, counters, inputs, camera, width, height, results):
    """Surfels as pixels see them.

    Args:
        n_threads: Workers; nothing depends on it but the speed.
        counters: Zeros. [1, 2]
        inputs: means, quats, scales, opacities.
        camera: See ``project_surfels``, like the rest. [16]
        width: px
        height: px
        results: surfels, rects, bad.
    """
    for _ in prange(n_threads):
        means, quats, scales, opacities = inputs
        surfels, rects, bad = results
        project_surfels(
            counters[0], means, quats, scales, opacities, camera, width, height, surfels, rects, bad
        )


@njit(parallel=True, nogil=True, cache=True)
def list_and_blend(n_threads, counters, surfels, listing, painting, images):
    """Each tile's surfels, then the pictures.

    Args:
        n_threads: Workers.
        counters: Zeros. [4, 2]
        surfels: See ``surfel_projection.py``. [N, 20]
        listing: rects, order, n_tiles_x, cursors, starts, ids; see ``binning.py``.
        painting: colors, positions, background, width, height; see ``blend_surfels``.
        images: Written.
    """
    for _ in prange(n_threads):
        rects, order, n_tiles_x, cursors, starts, ids = listing
        list_pairs(counters, rects, order, n_tiles_x, cursors, starts, ids)
        colors, positions, background, width, height = painting
        blend_surfels(
            counters[3],
            surfels,
            colors,
            starts,
            ids,
            positions,
            background,
            width,
            height,
            images,
        )


@njit(parallel=True, nogil=True, cache=True)
def unblend(
    n_threads, counters, inputs, camera, surfels, lists, painting, images, gradients, slots, results
):
    """Gradients in the surfels from those in the pictures, all the way.

    Args:
        n_threads: Workers.
        counters: Zeros. [3, 2]
        inputs: means, quats, scales.
        camera: [16]
        surfels: See ``surfel_projection.py``. [N, 20]
        lists: rects, slot_of, starts, ids.
        painting: colors, positions, width, height.
        images: What ``blend_surfels`` wrote.
        gradients: In these; see ``blend_surfels_backward``.
        slots: Its workspace.
        results: Written: gradients in projected surfels [N, 15], means, quats, scales, opacities
            and colours.
    """
    for _ in prange(n_threads):
        rects, slot_of, starts, ids = lists
        colors, positions, width, height = painting
        v_surfels, v_means, v_quats, v_scales, v_opacities, v_colors = results
        blend_surfels_backward(
            counters[0],
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
        )
        gather_surfels(counters[1], surfels, slot_of, slots, v_surfels, v_opacities, v_colors)
        means, quats, scales = inputs
        project_surfels_backward(
            counters[2],
            means,
            quats,
            scales,
            camera,
            surfels,
            rects,
            v_surfels,
            v_means,
            v_quats,
            v_scales,
        )
