"""Expression units in ARKit's vocabulary, made as smooth displacements of landmark groups.

One unit of a coefficient is ARKit's full activation, taken as one sigma. Opening the mouth is
the jaw joint's work and has no unit. ``_L`` is built, ``_R`` is its mirror image.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.open_head_parts.canonical_face import CanonicalFace
from shared.open_head_parts.fields import bump, skin_distances
from shared.open_head_parts.lip_rings import (
    LOWER_RINGS,
    RIGHT_BROW_LOWER,
    RIGHT_BROW_UPPER,
    RIGHT_LID_LOWER,
    RIGHT_LID_UPPER,
    UPPER_RINGS,
)

Floats = NDArray[np.float64]
Goals = dict[int, Sequence[float]]


class Spot(NamedTuple):
    """Where on the lips a landmark is."""

    along: float
    """-1 at the right corner, 1 at the left one."""
    ring: int
    """0 the outer contour to 3 the inner one."""
    is_upper: bool


LipGoal = Callable[[Spot], Sequence[float]]
"""Displacement in millimetres."""

LIP_REACH = 0.010
CHEEK_REACH = 0.016
LID_REACH = 0.004
BROW_REACH = 0.013


def expression_units(face: CanonicalFace, jaw_weights: Floats) -> dict[str, Floats]:
    """Displacement of each face vertex at full activation, by unit name. [468, 3] m"""
    distances = skin_distances(face.vertices, face.faces)

    def lips(goal: LipGoal) -> Floats:
        goals = {
            vertex: goal(Spot(float(place), ring, is_upper))
            for is_upper, rings in ((True, UPPER_RINGS), (False, LOWER_RINGS))
            for ring, row in enumerate(rings)
            for vertex, place in zip(row, np.linspace(-1, 1, len(row)), strict=True)
        }
        return 1e-3 * bump(distances, goals, LIP_REACH)

    def patch(goals: Goals, reach: float) -> Floats:
        return 1e-3 * bump(distances, goals, reach)

    def both(left: Floats) -> tuple[Floats, Floats]:
        return left, left[face.mirror] * [-1, 1, 1]

    units: dict[str, Floats] = {}
    for name, field in _left_units(face, patch, lips).items():
        units[f"{name}_L"], units[f"{name}_R"] = both(field)
    inner_brow = dict.fromkeys(_left(face, (107, 66, 55, 65)), (0, 7, 0))
    units["browInnerUp"] = sum(
        both(patch(_lids_still(face) | inner_brow, BROW_REACH)),
        start=np.zeros_like(face.vertices),
    )
    units["cheekPuff"] = sum(
        both(patch({425: (6, 0, 5), 280: (3, 0, 3)}, CHEEK_REACH)),
        start=np.zeros_like(face.vertices),
    )
    units["jawForward"] = jaw_weights[:, None] * [0, 0, 0.005]
    units["mouthLeft"], units["mouthRight"] = both(lips(lambda _: (6, 0, 0)))
    units |= {name: lips(goal) for name, goal in _LIP_UNITS.items()}
    return dict(sorted(units.items()))


def _dome(place: float) -> float:
    """1 at the middle of the lip, 0 at the corners."""
    return 1 - place**2


def _leftness(place: float) -> float:
    """0 at the right third of the mouth, rising to 1 at the left corner."""
    x = float(np.clip((place + 0.4) / 1.2, 0, 1))
    return x * x * (3 - 2 * x)


def _left_half(place: float) -> float:
    """1 at the middle of the left half, falling to 0 at the left corner and to the right."""
    return float(np.exp(-(((place - 0.4) / 0.4) ** 2)))


def _roll(at: Spot, *, sign: float) -> Sequence[float]:
    """Lip turned inwards around its own length."""
    up = (2.0, 1.5, 0.0, -1.5)[at.ring] * sign
    return (0, up * _dome(at.along), (-2.0, -3.0, -4.0, -4.0)[at.ring] * _dome(at.along))


_LIP_UNITS: dict[str, LipGoal] = {
    "mouthClose": lambda at: (0, (-1.5 if at.is_upper else 3.5) * _dome(at.along), 0),
    "mouthFunnel": lambda at: (
        -5 * at.along,
        (1 if at.is_upper else -1) * (0.5 + 0.8 * at.ring) * _dome(at.along),
        3 + 3 * _dome(at.along),
    ),
    "mouthPucker": lambda at: (-9 * at.along, 0, 2 + 3 * _dome(at.along)),
    "mouthRollLower": lambda at: (0, 0, 0) if at.is_upper else _roll(at, sign=1),
    "mouthRollUpper": lambda at: _roll(at, sign=-1) if at.is_upper else (0, 0, 0),
    "mouthShrugLower": lambda at: (
        (0, 0, 0) if at.is_upper else (0, 4 * _dome(at.along), 1.5 * _dome(at.along))
    ),
    "mouthShrugUpper": lambda at: (
        (0, 4 * _dome(at.along), 1.5 * _dome(at.along)) if at.is_upper else (0, 0, 0)
    ),
}


def _left(face: CanonicalFace, right: Sequence[int]) -> list[int]:
    """The left-hand partners of vertices of the right half."""
    return [int(face.mirror[vertex]) for vertex in right]


def _lids_still(face: CanonicalFace) -> Goals:
    """The left eye's lids held where they are, for units of the brow and the cheek."""
    return dict.fromkeys(_left(face, RIGHT_LID_UPPER + RIGHT_LID_LOWER), (0, 0, 0))


def _left_units(
    face: CanonicalFace,
    patch: Callable[[Goals, float], Floats],
    lips: Callable[[LipGoal], Floats],
) -> dict[str, Floats]:
    """The left half's units, without their suffix."""
    upper_lid, lower_lid = _left(face, RIGHT_LID_UPPER), _left(face, RIGHT_LID_LOWER)
    brow = _left(face, RIGHT_BROW_UPPER + RIGHT_BROW_LOWER)
    outer_brow = _left(face, (70, 63, 105, 46, 53, 52))
    gaps = 1e3 * (face.vertices[lower_lid] - face.vertices[upper_lid])  # [9, 3] mm
    # The closed lid lies on the ball, further forward than the straight line down.
    blink: Goals = {
        vertex: (1.0 * gap + [0, 0, 0.15 * abs(gap[1])]).tolist()
        for vertex, gap in zip(upper_lid, gaps, strict=True)
    }
    arch = np.sin(np.linspace(0, np.pi, len(lower_lid)))
    lids = _lids_still(face)
    still: Goals = dict.fromkeys(lower_lid[1:-1], (0, 0, 0))
    raised: Goals = dict.fromkeys(upper_lid[1:-1], (0, 0, 0))
    return {
        "browDown": patch(lids | dict.fromkeys(brow, (-1.0, -5, 0)), BROW_REACH),
        "browOuterUp": patch(lids | dict.fromkeys(outer_brow, (0, 6, 0)), BROW_REACH),
        "cheekSquint": patch(lids | {280: (0, 4, 1), 347: (0, 3, 1), 330: (0, 4, 1)}, CHEEK_REACH),
        "eyeBlink": patch(blink | still, LID_REACH),
        "eyeSquint": patch(
            raised | {v: (0, 3 * a, 0) for v, a in zip(lower_lid, arch, strict=True)}, LID_REACH
        ),
        "eyeWide": patch(
            still | {v: (0, 3 * a, 0) for v, a in zip(upper_lid, arch, strict=True)}, LID_REACH
        ),
        "mouthDimple": lips(lambda at: _scaled((3, 1, -4), _leftness(at.along))),
        "mouthFrown": lips(lambda at: _scaled((0, -6, -1), _leftness(at.along))),
        "mouthLowerDown": lips(
            lambda at: (0, 0, 0) if at.is_upper else _scaled((0, -5, 0), _left_half(at.along))
        ),
        "mouthPress": lips(
            lambda at: _scaled(
                (0, -1 if at.is_upper else 2, -1), (at.ring / 3) * _left_half(at.along)
            )
        ),
        "mouthSmile": lips(lambda at: _scaled((6, 6, -3), _leftness(at.along))),
        "mouthStretch": lips(lambda at: _scaled((7, -3, -3), _leftness(at.along))),
        "mouthUpperUp": lips(
            lambda at: _scaled((0, 5, 0), _left_half(at.along)) if at.is_upper else (0, 0, 0)
        ),
        "noseSneer": patch({279: (0, 3, 0), 429: (0, 3, 0), 420: (0, 3, 1)}, LIP_REACH),
    }


def _scaled(vector: Sequence[float], factor: float) -> list[float]:
    return [factor * value for value in vector]
