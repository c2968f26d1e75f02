"""What runs in parallel: a few passes of several stages each.

The threads of a parallel region must all arrive and all leave, which on a machine that does other
work too costs a time slice each. So there are few regions: inside one, threads share out the items
of a stage by a counter and go on together to the next, see ``sharing.py``.

Numba's cache on disk looks at this file only: ``INLINED`` must change with what it imports, or old
code runs after a change (a test tells).
"""

from numba import njit, prange

from shared.raster_kernels.binning import count_pairs, place_cursors, place_pairs
from shared.raster_kernels.blending import blend
from shared.raster_kernels.blending_backward import SLOT_WIDTH, blend_backward
from shared.raster_kernels.blending_features import blend_features
from shared.raster_kernels.blending_features_backward import blend_features_backward
from shared.raster_kernels.gathering import gather_features, gather_rgb
from shared.raster_kernels.projection import prepare_splats, project, project_backward

INLINED = "0f569fad385f4a3c"
"""Start of the SHA-256 of the files that the passes are made of."""


@njit(parallel=True, nogil=True, cache=True)
def project_gaussians(n_threads, counters, gaussians, camera, width, height, results):
    """Splats of 3D Gaussians.

    Args:
        n_threads: Workers; nothing depends on it but the speed.
        counters: Zeros. [1, 2]
        gaussians: means, quats, scales, opacities.
        camera: See ``project``, like the rest. [16]
        width: px
        height: px
        results: splats, rects, bad.
    """
    for _ in prange(n_threads):
        means, quats, scales, opacities = gaussians
        splats, rects, bad = results
        project(
            counters[0], means, quats, scales, opacities, camera, width, height, splats, rects, bad
        )


@njit(parallel=True, nogil=True, cache=True)
def project_gradients(n_threads, counters, gaussians, camera, width, height, inputs, results):
    """Gradients in 3D from those in the plane.

    Args:
        n_threads: Workers.
        counters: Zeros. [1, 2]
        gaussians: means, quats, scales.
        camera: See ``project_backward``, like the rest. [16]
        width: px
        height: px
        inputs: splats, rects, v_means2d, v_conics, v_depths.
        results: v_means, v_quats, v_scales.
    """
    for _ in prange(n_threads):
        means, quats, scales = gaussians
        splats, rects, v_means2d, v_conics, v_depths = inputs
        v_means, v_quats, v_scales = results
        project_backward(
            counters[0],
            means,
            quats,
            scales,
            camera,
            width,
            height,
            splats,
            rects,
            v_means2d,
            v_conics,
            v_depths,
            v_means,
            v_quats,
            v_scales,
        )


@njit(parallel=True, nogil=True, cache=True)
def prepare_plane(n_threads, counters, plane, width, height, results):
    """Splats of Gaussians that are projected already; see ``prepare_splats``."""
    for _ in prange(n_threads):
        means2d, conics, opacities, depths = plane
        splats, rects = results
        prepare_splats(
            counters[0], means2d, conics, opacities, depths, width, height, splats, rects
        )


@njit
def list_pairs(counters, listing):
    """The splats of each tile, near first: a counting sort in three stages."""
    rects, order, n_tiles_x, cursors, starts, ids = listing
    count_pairs(counters[0], rects, order, n_tiles_x, cursors)
    place_cursors(counters[1], cursors, starts)
    place_pairs(counters[2], rects, order, n_tiles_x, cursors, ids)


@njit(parallel=True, nogil=True, cache=True)
def list_and_blend(n_threads, counters, splats, listing, painting, images):
    """Each tile's splats, then the picture.

    Args:
        n_threads: Workers.
        counters: Zeros. [4, 2]
        splats: See ``projection.py``. [N, 8]
        listing: rects, order, n_tiles_x, cursors, starts, ids; see ``binning.py``.
        painting: colors, positions, background, width, height; see ``blend``.
        images: Written: colours, alpha, depth.
    """
    for _ in prange(n_threads):
        list_pairs(counters, listing)
        colors, positions, background, width, height = painting
        blend(
            counters[3],
            splats,
            colors,
            listing[4],
            listing[5],
            positions,
            background,
            width,
            height,
            images[0],
            images[1],
            images[2],
        )


@njit(parallel=True, nogil=True, cache=True)
def list_and_blend_features(n_threads, counters, splats, listing, painting, images):
    """The same with any number of channels; see ``blend_features``."""
    for _ in prange(n_threads):
        list_pairs(counters, listing)
        features, positions, width, height = painting
        blend_features(
            counters[3],
            splats,
            features,
            listing[4],
            listing[5],
            positions,
            width,
            height,
            images[0],
            images[1],
        )


@njit(parallel=True, nogil=True, cache=True)
def unblend(n_threads, counters, splats, lists, painting, images, gradients, slots, results):
    """Gradients in the splats from those in the images.

    Args:
        n_threads: Workers.
        counters: Zeros. [2, 2]
        splats: See ``projection.py``. [N, 8]
        lists: rects, slot_of, starts, ids.
        painting: colors, positions, width, height.
        images: Colours, alpha, depth.
        gradients: In these.
        slots: Workspace of ``blend_backward``.
        results: Written: gradients in means2d, conics, opacities, depths, colors.
    """
    for _ in prange(n_threads):
        rects, slot_of, starts, ids = lists
        colors, positions, width, height = painting
        blend_backward(
            counters[0],
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
            images[0],
            images[1],
            images[2],
            gradients[0],
            gradients[1],
            gradients[2],
        )
        v_means2d, v_conics, v_opacities, v_depths, v_colors = results
        gather_rgb(
            counters[1],
            splats,
            rects,
            slot_of,
            slots,
            SLOT_WIDTH,
            v_means2d,
            v_conics,
            v_opacities,
            v_colors,
            v_depths,
        )


@njit(parallel=True, nogil=True, cache=True)
def unblend_features(
    n_threads, counters, splats, lists, painting, images, gradients, slots, results
):
    """The same with any number of channels: two images, ``results`` end with the channels."""
    for _ in prange(n_threads):
        rects, slot_of, starts, ids = lists
        features, positions, width, height = painting
        blend_features_backward(
            counters[0],
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
            images[0],
            images[1],
            gradients[0],
            gradients[1],
        )
        v_means2d, v_conics, v_opacities, v_features = results
        gather_features(
            counters[1],
            splats,
            rects,
            slot_of,
            slots,
            16 + features.shape[1],
            v_means2d,
            v_conics,
            v_opacities,
            v_features,
        )
