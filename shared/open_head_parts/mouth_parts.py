"""Inside of the mouth: the sack behind the lips and both rows of teeth."""

import numpy as np
from numpy.typing import NDArray

from shared.open_head_parts.canonical_face import N_FACE_VERTICES, CanonicalFace
from shared.open_head_parts.lip_rings import INNER_LOWER, INNER_UPPER
from shared.open_head_parts.part import Part, follow_rows, grid_faces

Floats = NDArray[np.float64]

SACK_RINGS = ((0.006, 0.7, 0.003), (0.016, 0.45, 0.008), (0.030, 0.2, 0.011), (0.042, 0.0, 0.009))
"""Depth behind the lips (m), share of the lips' expression, half height (m)."""
TOOTH_COLUMNS = 15
TOOTH_ARCH = (0.024, 0.022)
"""Half width and depth of the dental arch, in metres."""


def mouth_sack(face: CanonicalFace, jaw_weights: Floats) -> Part:
    """Inside of the mouth: rings behind the inner lips, narrowing to the throat."""
    ring = [*INNER_UPPER, *INNER_LOWER[-2:0:-1]]  # right corner, over the upper lip, back below
    n_columns = len(ring)
    lips = face.vertices[ring]
    across = np.linspace(-1, 1, len(INNER_UPPER))
    lift = np.concatenate([1 - across**2, -(1 - across[-2:0:-1] ** 2)])
    is_upper = (np.arange(n_columns) < len(INNER_UPPER)).astype(float)
    is_upper[[0, len(INNER_UPPER) - 1]] = 0.5
    rings, follows, jaws = [], [], []
    for depth, share, half_height in SACK_RINGS:
        place = lips - [0, 0, depth]
        place[:, 1] += half_height * lift
        place[:, 0] *= 1 - 8 * depth * 0.6
        rings.append(place)
        follows.append(share * follow_rows(ring))
        jaws.append(share * jaw_weights[ring] + (1 - share) * (1 - is_upper))
    index = np.arange(n_columns * len(rings)).reshape(len(rings), -1).T
    index = np.concatenate([np.array([-1 - v for v in ring])[:, None], index], axis=1)
    centre = np.concatenate(rings)[-n_columns:].mean(0)
    throat = n_columns * len(rings)
    index = np.concatenate([index, np.full((n_columns, 1), throat)], axis=1)
    upper_mean = np.zeros((1, N_FACE_VERTICES))
    upper_mean[0, list(INNER_UPPER)] = 1 / len(INNER_UPPER)
    shape_follow = np.concatenate([np.tile(follow_rows(ring), (len(rings), 1)), upper_mean])
    return Part(
        "mouth_inside",
        np.concatenate([*rings, centre[None]]),
        grid_faces(np.concatenate([index, index[:1]])[::-1]),
        shape_follow,
        np.concatenate([*follows, 0 * upper_mean]),
        np.concatenate([*jaws, [0.5]]),
        np.zeros(throat + 1),
    )


def teeth(face: CanonicalFace, *, is_upper: bool) -> Part:
    """One dental arch: root, middle and biting edge in front, and the edge's back."""
    inner = INNER_UPPER if is_upper else INNER_LOWER
    line = face.vertices[13]
    across = np.linspace(-1, 1, TOOTH_COLUMNS)
    x = TOOTH_ARCH[0] * np.sin(across * 1.35) / np.sin(1.35)
    z = line[2] - 0.005 - TOOTH_ARCH[1] * across**2
    down = -1.0 if is_upper else 1.0
    edge_y = line[1] - 0.0015 - (0 if is_upper else 0.0003)
    back = 0.0 if is_upper else 0.002
    rows = [(-0.010, 0.001), (-0.005, 0.0), (0.0, 0.0), (0.0, 0.006)]  # along the tooth, depth
    vertices = np.concatenate(
        [
            np.stack([x, np.full_like(x, edge_y + down * along), z - back - depth], 1)
            for along, depth in rows
        ]
    )
    index = np.arange(len(rows) * TOOTH_COLUMNS).reshape(len(rows), -1).T
    faces = grid_faces(index)
    # Each tooth stays behind the lip in front of it, however wide the subject's mouth.
    column = 0.5 * (across + 1) * (len(inner) - 1)
    left = np.minimum(column.astype(np.int64), len(inner) - 2)
    beside = (column - left)[:, None]
    lips = follow_rows(inner)
    follow = np.tile((1 - beside) * lips[left] + beside * lips[left + 1], (len(rows), 1))
    n = len(vertices)
    return Part(
        "teeth",
        vertices,
        faces[:, ::-1] if is_upper else faces,
        follow,
        np.zeros_like(follow),
        np.zeros(n) if is_upper else np.ones(n),
        np.zeros(n),
    )
