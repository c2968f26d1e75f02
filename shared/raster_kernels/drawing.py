"""Runs the kernels in order: project, sort, bin, blend; and backwards."""

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.errors import InvalidInput
from shared.raster_kernels import binning, blending_backward, passes, projection, tiles
from shared.raster_kernels.teamwork import work_together

FloatArray = npt.NDArray[np.float32]
Images = tuple[FloatArray, ...]
"""Pictures, flat."""

N_PARTS = 4
"""Shares of the work of listing splats; nothing depends on it but the speed."""

MAX_PAIRS = 1 << 27
"""Splats times the 16x16 tiles that each touches; 8 GiB of slots in the backward pass."""


class Camera(NamedTuple):
    """Where the picture is taken from."""

    parameters: FloatArray  # [16] rotation rows, translation, fx, fy, cx, cy
    width: int
    height: int


class Splats(NamedTuple):
    """Gaussians in the image plane, in the order of drawing."""

    values: FloatArray  # [N, 8], columns in ``projection.py``; [N, 20] of surfels
    rects: npt.NDArray[np.int16]  # [N, 4] tiles x0, x1, y0, y1
    slot_of: npt.NDArray[np.int64]  # [N + 1]
    order: npt.NDArray[np.int32]  # [M] those drawn, near first


class Lists(NamedTuple):
    """The splats of each tile: what the gradient needs."""

    rects: npt.NDArray[np.int16]  # [N, 4]
    slot_of: npt.NDArray[np.int64]  # [N + 1]
    starts: npt.NDArray[np.int32]  # [n_tiles + 1]
    ids: npt.NDArray[np.int32]


class Footprints(NamedTuple):
    """Gradients of the loss in the splats."""

    means2d: FloatArray  # [N, 2] px^-1
    conics: FloatArray  # [N, 3]
    opacities: FloatArray  # [N]
    depths: FloatArray  # [N]
    colors: FloatArray  # [N, C]


@functools.cache
def lane_positions() -> FloatArray:
    """See ``tiles.py``; the same for all pictures."""
    positions: FloatArray = tiles.lane_positions()
    return positions


def project(gaussians: list[FloatArray], camera: Camera) -> Splats:
    """Splats of 3D Gaussians, given as means, quats, scales, opacities.

    Raises:
        InvalidInput: ``bad_gaussians``: a number is not finite, or a quaternion is zero.
    """
    n = gaussians[0].shape[0]
    values = np.empty((n, projection.SPLAT_WIDTH), np.float32)
    rects = np.empty((n, 4), np.int16)
    bad = np.empty(n, np.uint8)
    work_together(
        passes.project_gaussians,
        1,
        tuple(gaussians),
        camera.parameters,
        camera.width,
        camera.height,
        (values, rects, bad),
    )
    refuse_bad(bad)
    return sort_by_depth(values, rects)


def splats_in_plane(
    means2d: FloatArray,
    conics: FloatArray,
    opacities: FloatArray,
    depths: FloatArray,
    size: tuple[int, int],
) -> Splats:
    """Splats of Gaussians that are projected already.

    Args:
        means2d: Centres in pixels. [N, 2]
        conics: Inverse covariances xx, xy, yy in px^-2. [N, 3]
        opacities: [N]
        depths: Above 0; near is drawn first. [N]
        size: Width and height in pixels.
    """
    n = means2d.shape[0]
    values = np.empty((n, projection.SPLAT_WIDTH), np.float32)
    rects = np.empty((n, 4), np.int16)
    plane = (means2d, conics, opacities, depths)
    work_together(passes.prepare_plane, 1, plane, *size, (values, rects))
    return sort_by_depth(values, rects)


def refuse_bad(bad: npt.NDArray[np.uint8]) -> None:
    """Raise if the projection has marked anything.

    Raises:
        InvalidInput: ``bad_gaussians``: a number is not finite, or a quaternion is zero.
    """
    if bad.any():
        raise InvalidInput(
            "bad_gaussians",
            f"{int(bad.sum())} of {len(bad)} Gaussians have a number that is not finite "
            "or a quaternion of length zero",
        )


def sort_by_depth(
    values: FloatArray, rects: npt.NDArray[np.int16], depth_column: int = 7
) -> Splats:
    """Find the order of drawing.

    Raises:
        InvalidInput: ``bad_gaussians``: more pairs of splat and tile than memory should hold.
    """
    n = values.shape[0]
    slot_of = binning.slot_starts(rects)
    if slot_of[n] > MAX_PAIRS:
        raise InvalidInput(
            "bad_gaussians",
            f"{n} Gaussians touch {slot_of[n]} tiles in all, at most {MAX_PAIRS} can be drawn; "
            "make them smaller or fewer",
        )
    depth_bits = np.ascontiguousarray(values[:, depth_column]).view(np.int32)
    order = binning.sort_by_depth(depth_bits, rects, np.empty(n, np.int64), np.empty(n, np.int64))
    return Splats(values, rects, slot_of, order)


def blend_rgb(
    splats: Splats,
    colors: FloatArray,
    background: FloatArray,
    size: tuple[int, int],
    images: Images,
) -> Lists:
    """Fill colours, alpha and depth of a ``size`` (width, height) picture."""
    lists, listing = empty_lists(splats, size)
    painting = (colors, lane_positions(), background, *size)
    work_together(passes.list_and_blend, 4, splats.values, listing, painting, images)
    return lists


def blend_rgb_backward(
    values: FloatArray,
    lists: Lists,
    colors: FloatArray,
    size: tuple[int, int],
    images_and_gradients: tuple[Images, Images],
) -> Footprints:
    """Gradients in the splats from those in colours, alpha and depth."""
    n = colors.shape[0]
    result = _empty_footprints(n, 3)
    slots = SLOTS.take(int(lists.slot_of[n]) * blending_backward.SLOT_WIDTH)
    painting = (colors, lane_positions(), *size)
    work_together(
        passes.unblend,
        2,
        values,
        tuple(lists),
        painting,
        *images_and_gradients,
        slots,
        tuple(result),
    )
    SLOTS.give_back(slots)
    return result


def blend_channels(
    splats: Splats, colors: FloatArray, size: tuple[int, int], images: Images
) -> Lists:
    """Fill channels and depth together [H * W * (C + 1)], and alpha, over nothing."""
    lists, listing = empty_lists(splats, size)
    painting = (_with_depth(colors, splats.values), lane_positions(), *size)
    work_together(passes.list_and_blend_features, 4, splats.values, listing, painting, images)
    return lists


def blend_channels_backward(
    values: FloatArray,
    lists: Lists,
    colors: FloatArray,
    size: tuple[int, int],
    images_and_gradients: tuple[Images, Images],
) -> Footprints:
    """Gradients in the splats from those in channels with depth, and alpha."""
    n, n_channels = colors.shape
    v_features = np.empty((n, n_channels + 1), np.float32)
    result = _empty_footprints(n, 0)
    slots = SLOTS.take(int(lists.slot_of[n]) * (16 + n_channels + 1))
    painting = (_with_depth(colors, values), lane_positions(), *size)
    results = (result.means2d, result.conics, result.opacities, v_features)
    work_together(
        passes.unblend_features,
        2,
        values,
        tuple(lists),
        painting,
        *images_and_gradients,
        slots,
        results,
    )
    SLOTS.give_back(slots)
    return result._replace(
        colors=np.ascontiguousarray(v_features[:, :-1]),
        depths=np.ascontiguousarray(v_features[:, -1]),
    )


def project_backward(
    gaussians_and_camera: tuple[list[FloatArray], Camera],
    values_and_rects: tuple[FloatArray, npt.NDArray[np.int16]],
    footprints: Footprints,
    results: list[FloatArray],
) -> None:
    """Fill ``results`` with the gradients of the Gaussians' means, quats and scales."""
    gaussians, camera = gaussians_and_camera
    work_together(
        passes.project_gradients,
        1,
        tuple(gaussians),
        camera.parameters,
        camera.width,
        camera.height,
        (*values_and_rects, footprints.means2d, footprints.conics, footprints.depths),
        tuple(results),
    )


def empty_lists(splats: Splats, size: tuple[int, int]) -> tuple[Lists, tuple[Any, ...]]:
    """Lists to be filled, and what the pass that fills them takes."""
    n_tiles_x, n_tiles_y = (-(-side // projection.TILE) for side in size)
    n_tiles = n_tiles_x * n_tiles_y
    cursors = np.zeros((N_PARTS, n_tiles), np.int32)
    starts = np.empty(n_tiles + 1, np.int32)
    ids = np.empty(int(splats.slot_of[-1]), np.int32)
    lists = Lists(splats.rects, splats.slot_of, starts, ids)
    return lists, (splats.rects, splats.order, n_tiles_x, cursors, starts, ids)


def _with_depth(colors: FloatArray, values: FloatArray) -> FloatArray:
    """Colours and depth side by side. [N, C + 1]"""
    return np.concatenate([colors, values[:, 7:8]], axis=1)


def _empty_footprints(n: int, n_channels: int) -> Footprints:
    shapes = [(n, 2), (n, 3), (n,), (n,), (n, n_channels)]
    return Footprints(*(np.empty(shape, np.float32) for shape in shapes))


class _Reused:
    """Memory that is kept for the next call: fresh pages cost more than filling them."""

    LARGEST = 1 << 25  # numbers, 128 MiB; more than that is given back

    def __init__(self) -> None:
        self._arrays: list[FloatArray] = []

    def take(self, size: int) -> FloatArray:
        """At least ``size`` numbers for the caller alone; what they are is undefined."""
        array = self._arrays.pop() if self._arrays else np.empty(0, np.float32)
        return array if size <= array.size else np.empty(size + size // 4, np.float32)

    def give_back(self, array: FloatArray) -> None:
        """Keep the array for the next who asks."""
        if not self._arrays and array.size <= self.LARGEST:
            self._arrays.append(array)


SLOTS = _Reused()
