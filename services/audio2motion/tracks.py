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
    """All that a face does beside moving as a whole: expression, jaw pose, eyes pose. [T, P]"""
    tracks = [arrays[name] for name in ("expr", "jaw_pose", "eyes_pose")]
    return np.concatenate(tracks, axis=1).astype(np.float32)


def split_coefficients(coefficients: F32) -> Tracks:
    """The tracks that ``coefficients_of`` joined. [T, E + 3 + 6]"""
    expr, jaw_pose, eyes_pose = np.split(coefficients, [-9, -6], axis=1)
    return {"expr": expr, "jaw_pose": jaw_pose, "eyes_pose": eyes_pose}


def pose_deviations(pose: Tracks, shown: Tracks) -> F32:
    """Head pose in the capture's own terms: how unusual it is there.

    Args:
        pose: Rotation and translation. [T, 3] each
        shown: Those of the training frames.

    Returns:
        Deviations from the capture's mean pose over its standard deviations, at most 3, of
        rotation and translation. [T, 6]
    """
    deviations = []
    for name in ("rotation", "translation"):
        mean, deviation = shown[name].mean(axis=0), shown[name].std(axis=0)
        deviations.append((pose[name] - mean) / np.maximum(deviation, 1e-6))
    return np.asarray(np.clip(np.concatenate(deviations, axis=1), -3, 3), np.float32)


def frames_of(tracks: Tracks, frames: slice) -> Tracks:
    """Some frames of all tracks."""
    return {name: track[frames] for name, track in tracks.items()}
