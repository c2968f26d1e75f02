"""The head model contract: FLAME's layout, whatever the mesh.

Vertices = linear blend skinning of (template + shape + expression + pose correctives), five
joints. Head-model space: metres, x to the subject's left, y up, z out of the face. World space is
the same; a frontal head has ``rotation`` zero.

Pose correctives and landmarks between vertices are optional: a mesh without correctives has no
``pose_basis``, one with a vertex at every landmark has no ``landmark_faces``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from shared.contracts.artifact import Column, array_names, read_arrays, write_arrays
from shared.errors import InvalidInput
from shared.geometry.rotations import axis_angle_to_matrix

N_JOINTS = 5
"""0 root, 1 neck, 2 jaw, 3 left eye, 4 right eye."""
PARENTS = (-1, 0, 1, 1, 1)
N_CORRECTIVES = 36
"""Entries of R - I of the joints 1 to 4, row by row, as FLAME numbers them."""
N_FACE_LANDMARKS = 468
"""MediaPipe's landmarks without the irises."""

HEAD_MODEL_TABLE = {
    "template": Column("float32", ("V", 3), "m", "mean head at rest"),
    "shape_basis": Column("float32", ("K", "V", 3), "m", "displacement per shape coefficient"),
    "expr_basis": Column("float32", ("E", "V", 3), "m", "displacement per expression unit"),
    "expression_names": Column("<U32", ("E",), "1", "names of the expression units"),
    "joints": Column("float32", (N_JOINTS, 3), "m", "joint positions at rest, of the subject"),
    "weights": Column("float32", ("V", N_JOINTS), "1", "skinning weights, rows sum to 1"),
    "faces": Column("int32", ("F", 3), "1", "vertex indices, counter-clockwise from outside"),
    "face_regions": Column("uint8", ("F",), "1", "label of each face, see tracked_dataset.REGIONS"),
    "landmark_vertices": Column("int32", (478,), "1", "vertex at or next to each landmark"),
}
CORRECTIVES_TABLE = {
    "pose_basis": Column("float32", (N_CORRECTIVES, "V", 3), "m", "displacement per R - I entry"),
}
"""Present where the model has pose correctives."""
EMBEDDING_TABLE = {
    "landmark_faces": Column("int32", (478,), "1", "face that each MediaPipe landmark lies in"),
    "landmark_weights": Column("float32", (478, 3), "1", "barycentric weights of its corners"),
}
"""Present where landmarks lie between vertices."""


class HeadModel(NamedTuple):
    """Arrays of a head model; ``joints`` and bases already belong to one subject."""

    template: Tensor  # [V, 3]
    shape_basis: Tensor  # [K, V, 3]
    expr_basis: Tensor  # [E, V, 3]
    expression_names: tuple[str, ...]
    joints: Tensor  # [5, 3]
    weights: Tensor  # [V, 5]
    faces: Tensor  # [F, 3] int64
    face_regions: Tensor  # [F] uint8
    landmark_vertices: Tensor  # [478] int64
    pose_basis: Tensor | None = None  # [36, V, 3]
    landmark_faces: Tensor | None = None  # [478] int64
    landmark_weights: Tensor | None = None  # [478, 3]


class MeanHead(NamedTuple):
    """A head model before it is fitted, and what fitting it to a person needs besides."""

    model: HeadModel
    joint_basis: Tensor  # [K, 5, 3] m, how the joints follow the shape
    landmark_trust: Tensor  # [468] 1 for a sure place on the mesh, towards 0 for a guessed one
    follow: Tensor  # [V, 468] how vertices follow displaced landmarks
    freedom: "Freedom"


class Freedom(NamedTuple):
    """How far a person may differ from a head model beyond its own coefficients."""

    units_m: float
    """Spread of an expression unit's displacements; 0 keeps the units as they are."""
    offset_m: float
    """Spread of the neutral face about the shape basis (FLAME's static offset); 0 for none."""
    lowest_jaw: float
    """Least angle of the jaw, rad: 0 where teeth and lips are closed at rest."""
    is_scaled: bool
    """Whether the fitted head is scaled to adult eyes' distance, since its basis tells no size."""


class HeadSource(Protocol):
    """What a file in ``shared/head_models`` offers."""

    NEEDS_FILE: str | None
    """The operator's file that it reads (``shared.model_files``), None without any."""

    def build(self, models_dir: Path | None = None) -> HeadModel:
        """The mean head.

        Raises:
            MissingModel: ``missing_model_file``.
            InvalidInput: ``bad_head_file`` or ``unsafe_head_file``.
        """
        ...

    def mean_head(self, models_dir: Path | None = None) -> MeanHead:
        """The same, with what fitting needs."""
        ...


class HeadPose(NamedTuple):
    """FLAME's parameters for B frames."""

    expr: Tensor  # [B, E]
    rotation: Tensor  # [B, 3] axis-angle, rad
    neck_pose: Tensor  # [B, 3]
    jaw_pose: Tensor  # [B, 3]
    eyes_pose: Tensor  # [B, 6] left, right
    translation: Tensor  # [B, 3] m


def neutral_vertices(model: HeadModel, shape: Tensor) -> Tensor:
    """The subject's head at rest. [K] -> [V, 3]"""
    return model.template + torch.einsum("k,kvc->vc", shape, model.shape_basis)


def pose_vertices(model: HeadModel, neutral: Tensor, pose: HeadPose) -> Tensor:
    """Expression and pose correctives, then skinning, then translation (FLAME).

    Args:
        model: The head model.
        neutral: The subject at rest. [V, 3]
        pose: Parameters of B frames.

    Returns:
        Vertices in world space. [B, V, 3]
    """
    shaped = shaped_vertices(model, neutral, pose)
    rotations, offsets = joint_transforms(model.joints, pose)
    blended = torch.einsum("vj,bjcd->bvcd", model.weights, rotations)  # [B, V, 3, 3]
    moved = torch.einsum("vj,bjc->bvc", model.weights, offsets)
    return torch.einsum("bvcd,bvd->bvc", blended, shaped) + moved + pose.translation[:, None]


def shaped_vertices(model: HeadModel, neutral: Tensor, pose: HeadPose) -> Tensor:
    """The rest head with expression and pose correctives, before skinning. [B, V, 3]"""
    shaped = neutral + torch.einsum("be,evc->bvc", pose.expr, model.expr_basis)
    if model.pose_basis is None:
        return shaped
    turns = axis_angle_to_matrix(_joint_angles(pose)[:, 1:]) - torch.eye(3)  # [B, 4, 3, 3]
    return shaped + torch.einsum("bp,pvc->bvc", turns.flatten(1), model.pose_basis)


def landmarks_on(model: HeadModel, vertices: Tensor) -> Tensor:
    """MediaPipe's landmarks on a mesh. [..., V, 3] -> [..., 478, 3]"""
    if model.landmark_faces is None or model.landmark_weights is None:
        return vertices[..., model.landmark_vertices, :]
    corners = vertices[..., model.faces[model.landmark_faces], :]  # [..., 478, 3, 3]
    return (corners * model.landmark_weights[..., None]).sum(-2)


def landmark_patch(model: HeadModel) -> tuple[HeadModel, Tensor]:
    """The model reduced to the vertices that its landmarks need; many poses of it are cheap.

    Returns:
        The reduced model, and the numbers that its vertices have in the whole one.
    """
    if model.landmark_faces is None:
        corners = model.landmark_vertices[:, None].expand(-1, 3)
    else:
        corners = model.faces[model.landmark_faces]
    used, place = torch.unique(corners, return_inverse=True)
    numbers = torch.full((len(model.template),), -1)
    numbers[used] = torch.arange(len(used))
    basis = model.pose_basis
    patch = model._replace(
        template=model.template[used],
        shape_basis=model.shape_basis[:, used],
        expr_basis=model.expr_basis[:, used],
        weights=model.weights[used],
        faces=place,
        face_regions=torch.zeros(len(place), dtype=torch.uint8),
        landmark_vertices=numbers[model.landmark_vertices],
        pose_basis=None if basis is None else basis[:, used],
        landmark_faces=None if model.landmark_faces is None else torch.arange(len(place)),
    )
    return patch, used


def joints_of(head: MeanHead, shape: Tensor) -> Tensor:
    """The joints of a person. [K] -> [5, 3]"""
    return head.model.joints + torch.einsum("k,kjc->jc", shape, head.joint_basis)


def joint_transforms(joints: Tensor, pose: HeadPose) -> tuple[Tensor, Tensor]:
    """Each joint's motion from rest, before the translation.

    Returns:
        Rotations [B, 5, 3, 3] and offsets [B, 5, 3]: x -> R x + o.
    """
    local = axis_angle_to_matrix(_joint_angles(pose))  # [B, 5, 3, 3]
    rotations: list[Tensor] = []
    offsets: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        turn = local[:, joint]
        shift = joints[joint] - torch.einsum("bcd,d->bc", turn, joints[joint])  # about the joint
        if parent >= 0:
            shift = torch.einsum("bcd,bd->bc", rotations[parent], shift) + offsets[parent]
            turn = rotations[parent] @ turn
        rotations.append(turn)
        offsets.append(shift)
    return torch.stack(rotations, 1), torch.stack(offsets, 1)


def _joint_angles(pose: HeadPose) -> Tensor:
    """Axis-angle of the five joints. [B, 5, 3]"""
    left, right = pose.eyes_pose[:, :3], pose.eyes_pose[:, 3:]
    return torch.stack([pose.rotation, pose.neck_pose, pose.jaw_pose, left, right], dim=1)


def save_head_model(path: Path, model: HeadModel) -> None:
    """Store as npz; what the model does not have is left out."""
    present = {name: value for name, value in model._asdict().items() if value is not None}
    table = _table_of(present)
    arrays = {
        name: np.asarray(value, dtype="<U32")
        if name == "expression_names"
        else value.numpy().astype(table[name].dtype)
        for name, value in present.items()
    }
    write_arrays(path, arrays, table)


def load_head_model(path: Path) -> HeadModel:
    """Read what ``save_head_model`` wrote.

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    arrays = read_arrays(path, _table_of(array_names(path)))
    n_vertices, n_faces = len(arrays["template"]), len(arrays["faces"])
    limits = {"faces": n_vertices, "landmark_vertices": n_vertices, "landmark_faces": n_faces}
    numbers = {name: arrays.pop(name).astype(np.int64) for name in limits if name in arrays}
    for name, values in numbers.items():
        if ((values < 0) | (values >= limits[name])).any():
            raise InvalidInput(
                "bad_arrays", f"{path}: {name} goes beyond the {limits[name]} there are"
            )
    names = tuple(str(name) for name in arrays.pop("expression_names"))
    tensors = {name: torch.from_numpy(value) for name, value in (arrays | numbers).items()}
    return HeadModel(expression_names=names, **tensors)


def _table_of(names: Iterable[str]) -> dict[str, Column]:
    """The table of a model with these arrays; optional ones come in whole groups."""
    present = set(names)
    table = dict(HEAD_MODEL_TABLE)
    for group in (CORRECTIVES_TABLE, EMBEDDING_TABLE):
        if present & set(group):
            table |= group
    return table
