"""What the open head has besides the face: hair shell, neck, torso, eyeballs.

Every part hangs on face vertices: ``follow`` says how much of each face vertex's displacement a
part's vertex takes over, once for identity and once for expression.
"""

import numpy as np
from numpy.typing import NDArray

from shared.landmarks import FACE_OVAL, RIGHT_EYE
from shared.open_head_parts.canonical_face import N_FACE_VERTICES, CanonicalFace
from shared.open_head_parts.part import Part, follow_rows, grid_faces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHELL_CENTRE = np.array([0.0, 0.012, -0.075])
SHELL_RADII = np.array([0.110, 0.120, 0.120])
"""Half axes of the hair's outside: an adult skull with two centimetres of hair."""
SHELL_STEPS = (0.04, 0.08, 0.13, 0.19, 0.26, 0.35, 0.46, 0.6, 0.76, 0.92)
SHELL_FULL_AT = 0.3
"""Share of the way to the back of the head where the shell reaches its full radius."""
JAW_ANGLE = 11
"""Place in FACE_OVAL of the left jaw angle (288); its mirror image is 36 - 11."""
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


def hair_shell(face: CanonicalFace) -> tuple[Part, list[int]]:
    """Cap from the upper face outline over the head to its back.

    Returns:
        The part, and its lower edge from the left jaw angle to the back to the right one.
    """
    n = len(FACE_OVAL)
    columns = [FACE_OVAL[i % n] for i in range(n - JAW_ANGLE, n + JAW_ANGLE + 1)]  # right to left
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
    own = follow_rows(columns, repeat=n_steps)
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
    follow_top = np.concatenate([follow_rows(chin), shell.shape_follow[lower_edge[::-1]]])
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
    return list(FACE_OVAL[JAW_ANGLE : len(FACE_OVAL) - JAW_ANGLE + 1])


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
