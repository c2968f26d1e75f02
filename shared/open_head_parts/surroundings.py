"""What the open head has besides the face: hair shell, neck, torso, mouth, teeth, eyeballs.

Every part hangs on face vertices: ``follow`` says how much of each face vertex's displacement a
part's vertex takes over, once for identity and once for expression.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.open_head_parts.canonical_face import N_FACE_VERTICES, CanonicalFace
from shared.open_head_parts.lip_rings import (
    FACE_OUTLINE,
    INNER_LOWER,
    INNER_UPPER,
    RIGHT_EYE,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHELL_CENTRE = np.array([0.0, 0.012, -0.075])
SHELL_RADII = np.array([0.110, 0.120, 0.120])
"""Half axes of the hair's outside: an adult skull with two centimetres of hair."""
SHELL_STEPS = (0.04, 0.08, 0.13, 0.19, 0.26, 0.35, 0.46, 0.6, 0.76, 0.92)
SHELL_FULL_AT = 0.3
"""Share of the way to the back of the head where the shell reaches its full radius."""
JAW_ANGLE = 11
"""Place in FACE_OUTLINE of the left jaw angle (288); its mirror image is 36 - 11."""
NECK_RINGS = ((-0.105, 0.35), (-0.125, 0.75), (-0.145, 1.0), (-0.17, 1.0))
"""Height in metres and share of the neck's own ellipse, against the ring above."""
NECK_CENTRE_Z = -0.07
NECK_RADII = (0.058, 0.055)
TORSO_RINGS = ((-0.20, 0.085, 0.075), (-0.225, 0.135, 0.09), (-0.25, 0.18, 0.10),
               (-0.29, 0.21, 0.115), (-0.36, 0.225, 0.125), (-0.47, 0.23, 0.13))  # fmt: skip
"""Height and half axes (x, z) of rings from the neck's base to the chest, in metres."""
EYEBALL_RADIUS = 0.012
EYEBALL_ANGLES = (29.0, 45.0, 60.0, 78.0)
"""Degrees from the gaze; the first ring is the iris's edge (5.8 mm)."""
EYEBALL_COLUMNS = 16
SACK_RINGS = ((0.006, 0.7, 0.003), (0.016, 0.45, 0.008), (0.030, 0.2, 0.011), (0.042, 0.0, 0.009))
"""Depth behind the lips (m), share of the lips' expression, half height (m)."""
TOOTH_COLUMNS = 15
TOOTH_ARCH = (0.024, 0.022)
"""Half width and depth of the dental arch, in metres."""


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


def hair_shell(face: CanonicalFace) -> tuple[Part, list[int]]:
    """Cap from the upper face outline over the head to its back.

    Returns:
        The part, and its lower edge from the left jaw angle to the back to the right one.
    """
    n = len(FACE_OUTLINE)
    columns = [
        FACE_OUTLINE[i % n] for i in range(n - JAW_ANGLE, n + JAW_ANGLE + 1)
    ]  # right to left
    steps = np.array(SHELL_STEPS)
    start = (face.vertices[columns] - SHELL_CENTRE) / SHELL_RADII  # [C, 3]
    radius = np.linalg.norm(start, axis=1, keepdims=True)
    direction = start / radius
    back = np.array([0.0, 0.0, -1.0])
    angle = np.arccos(direction @ back)[:, None, None]  # [C, 1, 1]
    share = steps[None, :, None]
    path = (
        np.sin((1 - share) * angle) * direction[:, None] + np.sin(share * angle) * back
    ) / np.sin(angle)  # [C, S, 3] great circles to the back of the head
    rise = np.clip(share / SHELL_FULL_AT, 0, 1)
    rise = np.sin(0.5 * np.pi * rise)
    grown = radius[:, None] * (1 - rise) + rise
    grid = SHELL_CENTRE + SHELL_RADII * path * grown  # [C, S, 3]
    pole = SHELL_CENTRE + SHELL_RADII * back
    n_columns, n_steps = grid.shape[:2]
    index = np.arange(n_columns * n_steps).reshape(n_columns, n_steps)
    edge = np.array([-1 - vertex for vertex in columns])
    index = np.concatenate([edge[:, None], index], axis=1)  # [C, 1 + S]
    pole_index = n_columns * n_steps
    index = np.concatenate([index, np.full((n_columns, 1), pole_index)], axis=1)
    vertices = np.concatenate([grid.reshape(-1, 3), pole[None]])
    own = _rows(columns, repeat=n_steps)
    everyone = np.full_like(own, 0.0)
    everyone[:, columns] = 1 / n_columns
    share_flat = np.tile(steps, n_columns)[:, None]
    shape_follow = _with_last((1 - share_flat) * own + share_flat * everyone, everyone[:1])
    fade = np.exp(-share_flat / 0.06)
    expr_follow = _with_last(fade * own, 0 * everyone[:1])
    part = Part(
        "hair",
        vertices,
        grid_faces(index),
        shape_follow,
        expr_follow,
        np.zeros(len(vertices)),
        np.zeros(len(vertices)),
    )
    lower_edge = [*index[-1, 1:-1], pole_index, *index[0, 1:-1][::-1]]
    return part, [int(i) for i in lower_edge]


def neck_and_torso(
    face: CanonicalFace, shell: Part, lower_edge: list[int], jaw_weights: Floats
) -> tuple[Part, Part]:
    """Column below chin and shell, and the sheet of shoulders and chest below it.

    Vertices are rings of equal size in the order of ``neck_top``; the faces of both parts are
    left to the assembler, which knows the ring above them.
    """
    chin = neck_top()
    top = np.concatenate([face.vertices[chin], shell.vertices[lower_edge[::-1]]])
    n_columns = len(top)
    angle = np.arctan2(top[:, 0], top[:, 2] - NECK_CENTRE_Z)  # 0 in front, + on the left
    follow_top = np.concatenate([_rows(chin), shell.shape_follow[lower_edge[::-1]]])
    jaw_top = np.concatenate([jaw_weights[chin], np.zeros(len(lower_edge))])
    everyone = follow_top.mean(0, keepdims=True)
    shares = np.array([share for _, share in NECK_RINGS])
    rings = []
    for height, share in NECK_RINGS:
        above = top.copy()
        above[:, 1] = np.minimum(top[:, 1] - 0.004, height)
        rings.append((1 - share) * above + share * _oval(angle, height, NECK_RADII))
    neck = Part(
        "neck",
        np.concatenate(rings),
        np.zeros((0, 3), dtype=np.int64),
        np.concatenate([(1 - 0.7 * s) * follow_top + 0.7 * s * everyone for s in shares]),
        np.concatenate([0.5 * (1 - s) * follow_top for s in shares]),
        np.concatenate([0.6 * (1 - s) * jaw_top for s in shares]),
        np.repeat(0.7 * shares, n_columns),
    )
    n_torso = n_columns * len(TORSO_RINGS)
    torso = Part(
        "torso",
        np.concatenate([_oval(angle, height, (wide, deep)) for height, wide, deep in TORSO_RINGS]),
        np.zeros((0, 3), dtype=np.int64),
        np.repeat(everyone, n_torso, axis=0),
        np.zeros((n_torso, N_FACE_VERTICES)),
        np.zeros(n_torso),
        np.ones(n_torso),
    )
    return neck, torso


def neck_top() -> list[int]:
    """Face outline from the left jaw angle over the chin to the right one."""
    return list(FACE_OUTLINE[JAW_ANGLE : len(FACE_OUTLINE) - JAW_ANGLE + 1])


def eyeball(face: CanonicalFace, side: int) -> tuple[Part, Floats]:
    """Front of an eyeball behind its lids; side 0 is the right eye, 1 the left one.

    Vertex 0 is the iris's centre, vertices 1, 5, 9, 13 its edge at image right, top, image
    left and bottom, where MediaPipe's iris landmarks are.

    Returns:
        The part and the ball's centre. [3] m
    """
    contour = list(RIGHT_EYE) if side == 0 else [int(face.mirror[i]) for i in RIGHT_EYE]
    lids = face.vertices[contour]
    middle = face.vertices[[159, 145]] if side == 0 else face.vertices[[386, 374]]
    centre = np.array([lids[:, 0].mean(), lids[:, 1].mean(), middle[:, 2].mean()])
    centre[2] -= EYEBALL_RADIUS + 0.0004
    turn = np.linspace(0, 2 * np.pi, EYEBALL_COLUMNS, endpoint=False)
    rings = [
        np.stack(
            [np.sin(a) * np.cos(turn), np.sin(a) * np.sin(turn), np.full_like(turn, np.cos(a))], 1
        )
        for a in np.deg2rad(EYEBALL_ANGLES)
    ]
    vertices = centre + EYEBALL_RADIUS * np.concatenate([[[0, 0, 1.0]], *rings])
    index = 1 + np.arange(EYEBALL_COLUMNS * len(rings)).reshape(len(rings), -1).T  # [C, rings]
    index = np.concatenate([np.zeros((EYEBALL_COLUMNS, 1), dtype=np.int64), index], axis=1)
    faces = grid_faces(np.concatenate([index, index[:1]])[::-1])
    follow = np.zeros((len(vertices), N_FACE_VERTICES))
    follow[:, contour] = 1 / len(contour)
    nothing = np.zeros(len(vertices))
    return (
        Part("eyes", vertices, faces, follow, 0 * follow, nothing, nothing, 3 if side else 4),
        centre,
    )


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
        follows.append(share * _rows(ring))
        jaws.append(share * jaw_weights[ring] + (1 - share) * (1 - is_upper))
    index = np.arange(n_columns * len(rings)).reshape(len(rings), -1).T
    index = np.concatenate([np.array([-1 - v for v in ring])[:, None], index], axis=1)
    centre = np.concatenate(rings)[-n_columns:].mean(0)
    throat = n_columns * len(rings)
    index = np.concatenate([index, np.full((n_columns, 1), throat)], axis=1)
    upper_mean = np.zeros((1, N_FACE_VERTICES))
    upper_mean[0, list(INNER_UPPER)] = 1 / len(INNER_UPPER)
    shape_follow = np.concatenate([np.tile(_rows(ring), (len(rings), 1)), upper_mean])
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
    lips = _rows(inner)
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


def _rows(columns: list[int] | tuple[int, ...], repeat: int = 1) -> Floats:
    """One row per column: all weight on that face vertex."""
    rows = np.zeros((len(columns), N_FACE_VERTICES))
    rows[np.arange(len(columns)), list(columns)] = 1
    return np.repeat(rows, repeat, axis=0)


def _with_last(rows: Floats, last: Floats) -> Floats:
    return np.concatenate([rows, last])


def _oval(angle: Floats, height: float, radii: tuple[float, float]) -> Floats:
    """Horizontal ellipse around the neck's axis."""
    return np.stack(
        [
            radii[0] * np.sin(angle),
            np.full_like(angle, height),
            NECK_CENTRE_Z + radii[1] * np.cos(angle),
        ],
        axis=1,
    )


def grid_faces(index: Ints) -> Ints:
    """Triangles of a grid [C, R]; degenerate ones, at a pole, are left out."""
    a, b = index[:-1, :-1].ravel(), index[1:, :-1].ravel()
    c, d = index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    sides = np.sort(faces, axis=1)
    return faces[(sides[:, 0] != sides[:, 1]) & (sides[:, 1] != sides[:, 2])]
