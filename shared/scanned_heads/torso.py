"""Shoulders and chest below a head mesh that ends at the neck.

The same sheet as the open head's (``open_head_parts.surroundings``): rings around the neck's axis,
skinned to the root, following no shape and no expression. What a picture shows of clothes rides
on it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.open_head_parts.part import grid_faces
from shared.open_head_parts.surroundings import NECK_CENTRE_Z, NECK_RADII, TORSO_RINGS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_COLUMNS = 32
NECK_RING = (-0.17, *NECK_RADII)
"""The ring above the torso's first, where the open head's neck ends; a mesh's own neck overlaps."""


class Torso(NamedTuple):
    """A part of its own; indices count from its first vertex."""

    vertices: Floats  # [P, 3] m
    faces: Ints  # [F, 3]


def torso_below(eyes: Floats) -> Torso:
    """Rings from the neck's base down to the chest, below a point between the irises. [3] m"""
    angle = np.linspace(0, 2 * np.pi, N_COLUMNS, endpoint=False)  # 0 in front, + on the left
    vertices = np.concatenate(
        [
            np.stack(
                [
                    wide * np.sin(angle),
                    np.full_like(angle, height),
                    NECK_CENTRE_Z + deep * np.cos(angle),
                ],
                axis=1,
            )
            for height, wide, deep in (NECK_RING, *TORSO_RINGS)
        ]
    )
    index = np.arange(len(vertices)).reshape(-1, N_COLUMNS).T
    return Torso(eyes + vertices, grid_faces(np.concatenate([index, index[:1]])[::-1]))
