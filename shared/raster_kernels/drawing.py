"""Runs the kernels in order: project, sort, bin, blend; and backwards."""

import functools
import threading
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from shared.errors import InvalidInput
from shared.raster_kernels import (
    binning,
    blending,
    blending_backward,
    blending_features,
    blending_features_backward,
    projection,
    tiles,
)

FloatArray = npt.NDArray[np.float32]

MAX_PAIRS = 1 << 27
"""Splats times the 16x16 tiles that each touches; 8 GiB of slots in the backward pass."""

KERNELS = threading.Lock()
"""Held while kernels run: Numba's simplest threading layer must not be entered twice at once."""


class Camera(NamedTuple):
    """Where the picture is taken from."""

    parameters: FloatArray  # [16] rotation rows, translation, fx, fy, cx, cy
    width: int
    height: int


class Splats(NamedTuple):
    """Gaussians in the image plane, sorted into tiles: what blending and its gradient need."""

    values: FloatArray  # [N, 8], columns in ``projection.py``
    rects: npt.NDArray[np.int16]  # [N, 4] tiles x0, x1, y0, y1
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
    projection.project(
        *gaussians,
        camera.parameters,
        camera.width,
        camera.height,
        values,
        rects,
        bad,
    )
    if bad.any():
        raise InvalidInput(
            "bad_gaussians",
            f"{int(bad.sum())} of {n} Gaussians have a number that is not finite "
            "or a quaternion of length zero",
        )
    return sort_into_tiles(values, rects, camera.width, camera.height)


def sort_into_tiles(
    values: FloatArray, rects: npt.NDArray[np.int16], width: int, height: int
) -> Splats:
    """Order by depth, then list each tile's splats.

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
    depth_bits = np.ascontiguousarray(values[:, 7]).view(np.int32)
    order = binning.sort_by_depth(depth_bits, rects, np.empty(n, np.int64), np.empty(n, np.int64))
    n_tiles_x, n_tiles_y = -(-width // projection.TILE), -(-height // projection.TILE)
    starts, ids = binning.bin_into_tiles(
        rects, order, n_tiles_x, n_tiles_x * n_tiles_y, numba.get_num_threads()
    )
    return Splats(values, rects, slot_of, starts, ids)


def blend_rgb(
    splats: Splats,
    colors: FloatArray,
    background: FloatArray,
    size: tuple[int, int],
    images: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    """Fill colours, alpha and depth (all flat) of a ``size`` (width, height) picture."""
    blending.blend(
        splats.values,
        colors,
        splats.starts,
        splats.ids,
        lane_positions(),
        background,
        *size,
        numba.get_num_threads(),
        *images,
    )


def blend_rgb_backward(
    splats: Splats,
    colors: FloatArray,
    size: tuple[int, int],
    images: list[FloatArray],
    gradients: list[FloatArray],
) -> Footprints:
    """Gradients in the splats from those in colours, alpha and depth."""
    n = colors.shape[0]
    result = _empty_footprints(n, 3)
    blending_backward.blend_backward(
        splats.values,
        colors,
        splats.rects,
        splats.starts,
        splats.ids,
        lane_positions(),
        *size,
        numba.get_num_threads(),
        splats.slot_of,
        _SLOTS.take(int(splats.slot_of[n]) * blending_backward.SLOT_WIDTH),
        *images,
        *gradients,
        result.means2d,
        result.conics,
        result.opacities,
        result.colors,
        result.depths,
    )
    return result


def blend_channels(
    splats: Splats,
    colors: FloatArray,
    size: tuple[int, int],
    images: tuple[FloatArray, FloatArray],
) -> None:
    """Fill channels and depth together [H * W * (C + 1)], and alpha, over nothing."""
    blending_features.blend_features(
        splats.values,
        _with_depth(colors, splats),
        splats.starts,
        splats.ids,
        lane_positions(),
        *size,
        numba.get_num_threads(),
        *images,
    )


def blend_channels_backward(
    splats: Splats,
    colors: FloatArray,
    size: tuple[int, int],
    images: list[FloatArray],
    gradients: list[FloatArray],
) -> Footprints:
    """Gradients in the splats from those in channels with depth, and alpha."""
    n, n_channels = colors.shape
    v_features = np.empty((n, n_channels + 1), np.float32)
    result = _empty_footprints(n, 0)
    blending_features_backward.blend_features_backward(
        splats.values,
        _with_depth(colors, splats),
        splats.rects,
        splats.starts,
        splats.ids,
        lane_positions(),
        *size,
        numba.get_num_threads(),
        splats.slot_of,
        _SLOTS.take(int(splats.slot_of[n]) * (16 + n_channels + 1)),
        *images,
        *gradients,
        result.means2d,
        result.conics,
        result.opacities,
        v_features,
    )
    return result._replace(
        colors=np.ascontiguousarray(v_features[:, :-1]),
        depths=np.ascontiguousarray(v_features[:, -1]),
    )


def project_backward(
    gaussians: list[FloatArray],
    camera: Camera,
    splats: Splats,
    footprints: Footprints,
    results: list[FloatArray],
) -> None:
    """Fill ``results`` with the gradients of ``gaussians``: means, quats, scales."""
    projection.project_backward(
        *gaussians,
        camera.parameters,
        camera.width,
        camera.height,
        splats.values,
        splats.rects,
        footprints.means2d,
        footprints.conics,
        footprints.depths,
        *results,
    )


def _with_depth(colors: FloatArray, splats: Splats) -> FloatArray:
    """Colours and depth side by side. [N, C + 1]"""
    return np.concatenate([colors, splats.values[:, 7:8]], axis=1)


def _empty_footprints(n: int, n_channels: int) -> Footprints:
    shapes = [(n, 2), (n, 3), (n,), (n,), (n, n_channels)]
    return Footprints(*(np.empty(shape, np.float32) for shape in shapes))


class _Reused:
    """Memory that is kept for the next call: fresh pages cost more than filling them."""

    LARGEST = 1 << 25  # numbers, 128 MiB; more than that is given back

    def __init__(self) -> None:
        self._array: FloatArray = np.empty(0, np.float32)

    def take(self, size: int) -> FloatArray:
        """At least ``size`` numbers; what they are is undefined."""
        if size <= self._array.size:
            return self._array
        array = np.empty(size + size // 4, np.float32)
        if array.size <= self.LARGEST:
            self._array = array
        return array


_SLOTS = _Reused()
