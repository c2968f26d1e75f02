"""A part of the open head besides the face, and how it hangs on the face."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.open_head_parts.canonical_face import N_FACE_VERTICES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Part(NamedTuple):
    """Vertices and triangles beside the face.

    Indices count from the part's first vertex; a negative one, -1 - i, means face vertex i.
    """

    region: str
    vertices: Floats  # [P, 3] m
    faces: Ints  # [F, 3]
    shape_follow: Floats  # [P, 468]
    expr_follow: Floats  # [P, 468]
    jaw_weights: Floats  # [P]
    root_weights: Floats  # [P] share skinned to the root instead of the head
    eye: int = 0
    """3 when skinned to the left eyeball, 4 to the right one."""


def follow_rows(columns: list[int] | tuple[int, ...], repeat: int = 1) -> Floats:
    """One row per column, taking over all of that face vertex's displacement. [C, 468]"""
    rows = np.zeros((len(columns), N_FACE_VERTICES))
    rows[np.arange(len(columns)), list(columns)] = 1
    return np.repeat(rows, repeat, axis=0)


def grid_faces(index: Ints) -> Ints:
    """Triangles of a grid [C, R]; degenerate ones, at a pole, are left out."""
    a, b = index[:-1, :-1].ravel(), index[1:, :-1].ravel()
    c, d = index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    sides = np.sort(faces, axis=1)
    return faces[(sides[:, 0] != sides[:, 1]) & (sides[:, 1] != sides[:, 2])]
