"""Numba's cache on disk must not outlive what it was compiled from."""

import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from shared.raster_kernels import passes, spherical_harmonics, surfel_passes

COMMON = ("binning", "lane_memory", "lanes", "projection", "quaternions", "sharing", "tiles")
GAUSSIANS = (
    "blending",
    "blending_backward",
    "blending_features",
    "blending_features_backward",
    "gathering",
)
SURFELS = (
    "gathering",
    "surfel_blending",
    "surfel_blending_backward",
    "surfel_gathering",
    "surfel_projection",
    "surfel_projection_backward",
    "surfel_tile_state",
    "surfel_tiles",
)


@pytest.mark.parametrize(
    ("kernels", "inlined"),
    [
        (passes, COMMON + GAUSSIANS),
        (surfel_passes, COMMON + SURFELS),
        (spherical_harmonics, ("sharing",)),
    ],
    ids=["passes", "surfel_passes", "spherical_harmonics"],
)
def test_cached_kernels_know_what_they_inline(
    kernels: ModuleType, inlined: tuple[str, ...]
) -> None:
    """``INLINED`` changes with the inlined files, so that Numba compiles again.

    If this fails after a change, write the new digest into the file.
    """
    folder = Path(passes.__file__).parent

    sources = b"".join((folder / f"{name}.py").read_bytes() for name in inlined)
    digest = hashlib.sha256(sources).hexdigest()[:16]

    assert digest == kernels.INLINED
