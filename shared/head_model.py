"""The head model contract: FLAME's layout, whatever the mesh.

Vertices = linear blend skinning of (template + shape + expression), five joints. Head-model
space: metres, x to the subject's left, y up, z out of the face. World space is the same; a
frontal head has ``rotation`` zero.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.contracts.artifact import Column, read_arrays, write_arrays
from shared.errors import InvalidInput
from shared.geometry.rotations import axis_angle_to_matrix

N_JOINTS = 5
"""0 root, 1 neck, 2 jaw, 3 left eye, 4 right eye."""
PARENTS = (-1, 0, 1, 1, 1)

HEAD_MODEL_TABLE = {
    "template": Column("float32", ("V", 3), "m", "mean head at rest"),
    "shape_basis": Column("float32", ("K", "V", 3), "m", "displacement per shape coefficient"),
    "expr_basis": Column("float32", ("E", "V", 3), "m", "displacement per expression unit"),
    "expression_names": Column("<U32", ("E",), "1", "names of the expression units"),
    "joints": Column("float32", (N_JOINTS, 3), "m", "joint positions at rest, of the subject"),
    "weights": Column("float32", ("V", N_JOINTS), "1", "skinning weights, rows sum to 1"),
    "faces": Column("int32", ("F", 3), "1", "vertex indices, counter-clockwise from outside"),
    "face_regions": Column("uint8", ("F",), "1", "label of each face, see tracked_dataset.REGIONS"),
    "landmark_vertices": Column("int32", (478,), "1", "vertex of each MediaPipe landmark"),
}


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
    """Expression, then skinning, then translation (FLAME, without pose correctives).

    Args:
        model: The head model.
        neutral: The subject at rest. [V, 3]
        pose: Parameters of B frames.

    Returns:
        Vertices in world space. [B, V, 3]
    """
    shaped = neutral + torch.einsum("be,evc->bvc", pose.expr, model.expr_basis)  # [B, V, 3]
    rotations, offsets = joint_transforms(model.joints, pose)
    blended = torch.einsum("vj,bjcd->bvcd", model.weights, rotations)  # [B, V, 3, 3]
    moved = torch.einsum("vj,bjc->bvc", model.weights, offsets)
    return torch.einsum("bvcd,bvd->bvc", blended, shaped) + moved + pose.translation[:, None]


def joint_transforms(joints: Tensor, pose: HeadPose) -> tuple[Tensor, Tensor]:
    """Each joint's motion from rest, before the translation.

    Returns:
        Rotations [B, 5, 3, 3] and offsets [B, 5, 3]: x -> R x + o.
    """
    angles = torch.stack(
        [
            pose.rotation,
            pose.neck_pose,
            pose.jaw_pose,
            pose.eyes_pose[:, :3],
            pose.eyes_pose[:, 3:],
        ],
        dim=1,
    )  # [B, 5, 3]
    local = axis_angle_to_matrix(angles)  # [B, 5, 3, 3]
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


def save_head_model(path: Path, model: HeadModel) -> None:
    """Store as npz."""
    arrays = {
        name: np.asarray(value, dtype="<U32")
        if name == "expression_names"
        else value.numpy().astype(HEAD_MODEL_TABLE[name].dtype)
        for name, value in model._asdict().items()
    }
    write_arrays(path, arrays, HEAD_MODEL_TABLE)


def load_head_model(path: Path) -> HeadModel:
    """Read what ``save_head_model`` wrote.

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    arrays = read_arrays(path, HEAD_MODEL_TABLE)
    n_vertices = len(arrays["template"])
    for name in ("faces", "landmark_vertices"):
        numbers = arrays[name].astype(np.int64)
        if ((numbers < 0) | (numbers >= n_vertices)).any():
            raise InvalidInput(
                "bad_arrays", f"{path}: {name} names vertices beyond the {n_vertices} there are"
            )
    names = tuple(str(name) for name in arrays.pop("expression_names"))
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    for name in ("faces", "landmark_vertices"):
        tensors[name] = tensors[name].long()
    return HeadModel(expression_names=names, **tensors)
