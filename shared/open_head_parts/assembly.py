"""Puts face, shell, neck, torso, eyeballs, mouth and teeth together into one head model."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import N_JOINTS, HeadModel
from shared.landmarks import FACE_OVAL
from shared.open_head_parts.canonical_face import (
    N_FACE_VERTICES,
    CanonicalFace,
    load_canonical_face,
)
from shared.open_head_parts.fields import harmonics, membrane
from shared.open_head_parts.lip_rings import (
    INNER_LOWER,
    INNER_UPPER,
    LIPS,
    LOWER_RINGS,
    NOSE_BASE,
    RIGHT_BROW_LOWER,
    RIGHT_BROW_UPPER,
    UPPER_RINGS,
)
from shared.open_head_parts.mouth_parts import mouth_sack, teeth
from shared.open_head_parts.part import Part, grid_faces
from shared.open_head_parts.surroundings import eyeball, hair_shell, neck_and_torso, neck_top
from shared.open_head_parts.units import expression_units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_SHAPE_MODES = 48
SHAPE_SIGMA_M = 0.006
"""Spread of people's faces in the slowest mode; faster modes fall off with their frequency."""
ROOT_JOINT = (0.0, -0.13, -0.085)
NECK_JOINT = (0.0, -0.06, -0.08)
JAW_JOINT = (0.0, -0.022, -0.060)
"""Base of the neck, top of the neck, axis of the jaw's joints: metres from between the eyes."""
IRIS_RING = (0, 1, 5, 9, 13)
"""Eyeball vertices at MediaPipe's iris landmarks."""
NOSE = (1, 2, 4, 5, 6, 19, 44, 45, 48, 51, 64, 94, 97, 98, 115, 122, 125, 131, 134, 141, 168, 174,
        188, 193, 195, 196, 197, 198, 209, 217, 218, 219, 220, 235, 236, 237, 238, 239, 240, 241,
        242, 3, 20, 49, 59, 60, 75, 79, 99, 102, 114, 128, 129, 166, 245, 248)  # fmt: skip
"""Right half and middle of the nose."""


class _Placed(NamedTuple):
    """A part in the whole head: where its vertices begin, and its faces in head indices."""

    part: Part
    offset: int
    faces: Ints


def build_open_head() -> HeadModel:
    """The mean open head: 468 face vertices first, then the parts."""
    face = load_canonical_face()
    jaw = jaw_weights(face)
    placed, centres = _place_parts(face, jaw)
    shape_follow, expr_follow = _follow(placed)
    units = expression_units(face, jaw)
    expr_basis = np.stack([expr_follow @ field for field in units.values()])  # [E, V, 3]
    faces = np.concatenate([face.faces, *[item.faces for item in placed]])
    labels = [REGIONS.index(item.part.region) for item in placed]
    regions = np.concatenate(
        [
            face_regions(face),
            *[np.full(len(i.faces), k) for i, k in zip(placed, labels, strict=True)],
        ]
    )
    eyes = [item.offset for item in placed if item.part.eye]
    landmarks = [*range(N_FACE_VERTICES), *[eye + ring for eye in eyes for ring in IRIS_RING]]
    return HeadModel(
        template=_float(np.concatenate([face.vertices, *[i.part.vertices for i in placed]])),
        shape_basis=_float(_shape_basis(face, shape_follow)),
        expr_basis=_float(expr_basis),
        expression_names=tuple(units),
        joints=_float(np.stack([ROOT_JOINT, NECK_JOINT, JAW_JOINT, centres[1], centres[0]])),
        weights=_float(_weights(jaw, placed)),
        faces=torch.from_numpy(faces),
        face_regions=torch.from_numpy(regions.astype(np.uint8)),
        landmark_vertices=torch.tensor(landmarks),
    )


def expression_follow() -> torch.Tensor:
    """How all vertices follow the face's as expressions change. [V, 468]"""
    face = load_canonical_face()
    placed, _ = _place_parts(face, jaw_weights(face))
    return _float(_follow(placed)[1])


def jaw_weights(face: CanonicalFace) -> Floats:
    """Share of the jaw joint at each face vertex: lower lip and chin 1, upper face 0. [468]"""
    fixed = dict.fromkeys(np.flatnonzero(face.vertices[:, 1] > NOSE_LEVEL), 0.0)
    fixed |= dict.fromkeys(NOSE_BASE, 0.0)
    jawline = {288: 0.25, 397: 0.5, 365: 0.8, 361: 0.1}
    fixed |= {vertex: share for left, share in jawline.items() for vertex in _pair(face, left)}
    below = FACE_OVAL[14:23]
    fixed |= dict.fromkeys(below, 1.0)
    for ring in UPPER_RINGS:
        fixed |= dict.fromkeys(ring[1:-1], 0.0)
    for ring in LOWER_RINGS:
        arch = np.sin(np.linspace(0, np.pi, len(ring))) ** 0.5
        fixed |= {v: 0.45 + 0.55 * float(a) for v, a in zip(ring[1:-1], arch[1:-1], strict=True)}
        fixed |= dict.fromkeys((ring[0], ring[-1]), 0.40)
    return membrane(face.vertices, face.faces, {int(k): v for k, v in fixed.items()})


NOSE_LEVEL = -0.032
"""Height of the nose's tip, in metres below the eyes; above it nothing follows the jaw."""


def _pair(face: CanonicalFace, vertex: int) -> tuple[int, int]:
    return vertex, int(face.mirror[vertex])


def _place_parts(face: CanonicalFace, jaw: Floats) -> tuple[list[_Placed], list[Floats]]:
    """All parts with head-wide indices, right eyeball before the left; the balls' centres."""
    shell, lower_edge = hair_shell(face)
    neck, torso = neck_and_torso(face, shell, lower_edge, jaw)
    right, right_centre = eyeball(face, 0)
    left, left_centre = eyeball(face, 1)
    parts = [
        shell,
        neck,
        torso,
        right,
        left,
        mouth_sack(face, jaw),
        teeth(face, is_upper=True),
        teeth(face, is_upper=False),
    ]
    offsets = np.cumsum([N_FACE_VERTICES, *[len(part.vertices) for part in parts]])
    placed = [
        _Placed(part, int(start), _head_indices(part.faces, int(start)))
        for part, start in zip(parts, offsets[:-1], strict=True)
    ]
    top = np.array([*neck_top(), *[offsets[0] + i for i in lower_edge[::-1]]])
    neck_faces, torso_faces = _column_faces(top, placed[1], placed[2])
    placed[1] = placed[1]._replace(faces=neck_faces)
    placed[2] = placed[2]._replace(faces=torso_faces)
    return placed, [right_centre, left_centre]


def _head_indices(faces: Ints, start: int) -> Ints:
    return np.where(faces < 0, -1 - faces, faces + start)


def _column_faces(top: Ints, neck: _Placed, torso: _Placed) -> tuple[Ints, Ints]:
    """Strips from the chin and the shell's lower edge down the neck, and on down the torso."""
    rings = [
        np.arange(item.offset, item.offset + len(item.part.vertices)).reshape(-1, len(top))
        for item in (neck, torso)
    ]
    down = [np.concatenate([top[None], rings[0]]).T, np.concatenate([rings[0][-1:], rings[1]]).T]
    closed = [np.concatenate([index, index[:1]]) for index in down]
    return grid_faces(closed[0]), grid_faces(closed[1])


def _follow(placed: list[_Placed]) -> tuple[Floats, Floats]:
    """How all vertices follow the face's, for identity and for expression. [V, 468] each"""
    eye = np.eye(N_FACE_VERTICES)
    return (
        np.concatenate([eye, *[item.part.shape_follow for item in placed]]),
        np.concatenate([eye, *[item.part.expr_follow for item in placed]]),
    )


def _shape_basis(face: CanonicalFace, follow: Floats) -> Floats:
    """Harmonics of the face along x, y and z, one sigma each; the lips stay closed. [K, V, 3]"""
    joined = np.array([INNER_UPPER, INNER_LOWER]).T[1:-1]
    modes, frequency = harmonics(face.vertices, face.faces, joined, N_SHAPE_MODES)
    fields = follow @ (SHAPE_SIGMA_M * modes / frequency)  # [V, M]
    basis = np.zeros((3 * N_SHAPE_MODES, len(follow), 3))
    for axis in range(3):
        basis[axis::3, :, axis] = fields.T
    return basis


def _weights(jaw: Floats, placed: list[_Placed]) -> Floats:
    """Skinning weights: root, neck, jaw, left eye, right eye. [V, 5]"""
    blocks = [np.stack([0 * jaw, 1 - jaw, jaw, 0 * jaw, 0 * jaw], axis=1)]
    for item in placed:
        part = item.part
        block = np.zeros((len(part.vertices), N_JOINTS))
        if part.eye:
            block[:, part.eye] = 1
        else:
            block[:, 0] = part.root_weights * (1 - part.jaw_weights)
            block[:, 2] = part.jaw_weights
            block[:, 1] = 1 - block.sum(1)
        blocks.append(block)
    return np.concatenate(blocks)


def face_regions(face: CanonicalFace) -> Ints:
    """Region label of each face triangle. [852]"""
    labels = np.full(len(face.faces), REGIONS.index("face"))
    brows = RIGHT_BROW_UPPER + RIGHT_BROW_LOWER
    for region, right in (("nose", NOSE), ("brows", brows), ("lips", LIPS)):
        members = np.array([*right, *[int(face.mirror[v]) for v in right]])
        labels[np.isin(face.faces, members).all(1)] = REGIONS.index(region)
    return labels


def _float(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
