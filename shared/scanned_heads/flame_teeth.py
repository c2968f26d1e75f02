"""Teeth for FLAME, which has none: two arches of sixty vertices behind the lips.

Source: GaussianAvatars (Qian et al. 2024), whose layout this keeps so that avatars can be
exchanged: vertices 5023 to 5142, faces 9976 to 10143. The upper arch rides on the neck joint, the
lower one on the jaw; both follow the identity of the lips before them, and no expression.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.scanned_heads.flame_file import N_SHAPE, N_VERTICES, FlameArrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UPPER_LIP = (
    1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543, 2774, 2811, 2813, 2850, 2833, 2832, 2830,
)  # fmt: skip
LOWER_LIP = (
    1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880, 2713, 2712,
)  # fmt: skip
"""The lips' outer rings from the subject's left corner to the right one."""
N_COLUMNS = 15
N_TEETH_VERTICES = 120
BEHIND, EDGE, ROOT, OVERBITE = 1.5, 0.1, 2.0, 0.4
"""In mean distances between the lips: depth behind them, half the gap, height, and how far the
lower arch stands behind the upper one."""
NECK_JOINT, JAW_JOINT = 1, 2
ROWS = {
    "upper root": 0, "lower root": 1, "upper edge": 2, "lower edge": 3,
    "upper root back": 4, "upper edge back": 5, "lower root back": 6, "lower edge back": 7,
}  # fmt: skip
"""Place of each row of fifteen among the teeth's vertices."""


Pattern = tuple[tuple[int, int, int], tuple[int, int, int]]
FALLING_DOWN: Pattern = ((0, 3, 2), (0, 1, 3))
RISING_DOWN: Pattern = ((0, 1, 2), (1, 3, 2))
FALLING_UP: Pattern = ((0, 2, 3), (0, 3, 1))
RISING_UP: Pattern = ((0, 2, 1), (1, 2, 3))
"""Corners of a strip's two triangles among (first row, its next, second row, its next). Which
corner comes first counts too: a triangle's frame begins there."""
STRIPS = (
    ("upper root", "upper edge", (FALLING_DOWN, RISING_DOWN)),
    ("upper root back", "upper edge back", (FALLING_UP, RISING_UP)),
    ("upper edge back", "upper edge", (RISING_UP, FALLING_UP)),
    ("lower edge", "lower root", (RISING_DOWN, FALLING_DOWN)),
    ("lower root back", "lower edge back", (FALLING_DOWN, RISING_DOWN)),
    ("lower edge back", "lower edge", (RISING_DOWN, FALLING_DOWN)),
)
"""Front, back and biting strip of each arch: two rows, and the pattern before and after the middle
tooth. The roots' side stays open."""


class Teeth(NamedTuple):
    """What teeth add to FLAME's arrays; faces count from FLAME's first vertex."""

    vertices: Floats  # [120, 3]
    faces: Ints  # [168, 3]
    directions: Floats  # [120, 3, 400]
    weights: Floats  # [120, 5]


def make_teeth(flame: FlameArrays) -> Teeth:
    """Both arches behind the template's lips."""
    upper, lower = flame.template[list(UPPER_LIP)], flame.template[list(LOWER_LIP)]
    gap = float(np.linalg.norm(upper - lower, axis=1).mean())
    line = (upper + lower) / 2
    line[:, 1] = line[:, 1].mean()
    line[:, 2] -= BEHIND * gap
    up, back = np.array([0.0, gap, 0.0]), np.array([0.0, 0.0, -gap])
    upper_edge = line + EDGE * up
    lower_edge = line - EDGE * up + OVERBITE * back
    rows = {
        "upper root": upper_edge + ROOT * up,
        "lower root": lower_edge - ROOT * up,
        "upper edge": upper_edge,
        "lower edge": lower_edge,
    }
    rows |= {f"{name} back": row + back for name, row in rows.items()}
    is_upper = np.array([name.startswith("upper") for name in ROWS]).repeat(N_COLUMNS)
    directions = np.zeros((N_TEETH_VERTICES, 3, flame.directions.shape[2]))
    weights = np.zeros((N_TEETH_VERTICES, flame.weights.shape[1]))
    for lip, members, joint in (
        (UPPER_LIP, is_upper, NECK_JOINT),
        (LOWER_LIP, ~is_upper, JAW_JOINT),
    ):
        directions[members, :, :N_SHAPE] = flame.directions[list(lip), :, :N_SHAPE].mean(0)
        weights[members, joint] = 1
    return Teeth(
        np.concatenate([rows[name] for name in ROWS]),
        np.concatenate([_strip(_row(one), _row(two), how) for one, two, how in STRIPS])
        + N_VERTICES,
        directions,
        weights,
    )


def _row(name: str) -> Ints:
    return ROWS[name] * N_COLUMNS + np.arange(N_COLUMNS)


def _strip(first: Ints, second: Ints, patterns: tuple[Pattern, Pattern]) -> Ints:
    """Two triangles between each pair of columns, mirrored at the middle tooth. [28, 3]"""
    faces = []
    for column in range(N_COLUMNS - 1):
        corners = [first[column], first[column + 1], second[column], second[column + 1]]
        pattern = patterns[column >= N_COLUMNS // 2]
        faces += [[corners[place] for place in triangle] for triangle in pattern]
    return np.array(faces)
