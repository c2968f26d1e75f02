"""Motion tracks: the arrays of MOTION_TABLE, and what an avatar or a dataset holds of them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.contracts.artifact import Arrays
from shared.contracts.motion import MOTION_TABLE

F32 = NDArray[np.float32]
Tracks = dict[str, F32]


def motion_tracks(arrays: Arrays) -> Tracks:
    """The arrays of MOTION_TABLE alone."""
    return {name: arrays[name].astype(np.float32) for name in MOTION_TABLE}


def coefficients_of(arrays: Mapping[str, NDArray[np.generic]]) -> F32:
    """Expression, then jaw pose. [T, E + 3]"""
    return np.concatenate([arrays["expr"], arrays["jaw_pose"]], axis=1).astype(np.float32)


def frames_of(tracks: Tracks, frames: slice) -> Tracks:
    """Some frames of all tracks."""
    return {name: track[frames] for name, track in tracks.items()}
