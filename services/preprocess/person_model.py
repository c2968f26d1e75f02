"""A head model made one person's: bent units, an offset of the neutral, joints, size."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from services.preprocess.face_bundle import Camera, FaceRig, Floats
from services.preprocess.head_fit import face_rig
from services.preprocess.head_surface import vertices_of
from shared.head_model import HeadModel, MeanHead, joints_of
from shared.landmarks import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from shared.open_head_parts.canonical_face import INTER_OCULAR_M

LEFT_JOINT, RIGHT_JOINT = 3, 4


class Person(NamedTuple):
    """What the training frames fix for all frames."""

    rig: FaceRig
    shape: Floats  # [K]
    camera: Camera


def person_model(head: MeanHead, person: Person) -> tuple[HeadModel, Floats]:
    """The head model with the person's units and neutral carried to all vertices, and joints.

    Returns:
        The model, and the person's coefficients in its basis: an offset of the neutral is one
        more of them, of one.
    """
    mean = face_rig(head.model)
    shape = torch.from_numpy(person.shape).float()
    model = head.model._replace(joints=joints_of(head, shape))
    if head.freedom.units_m:
        change = torch.from_numpy(person.rig.expr_basis - mean.expr_basis).float()
        carried = torch.einsum("vf,efc->evc", head.follow, change)
        model = model._replace(expr_basis=model.expr_basis + carried)
    if not head.freedom.offset_m:
        return model, person.shape
    offset = torch.from_numpy(person.rig.rest - mean.rest).float()
    return _with_offset(model, head.follow, offset), np.append(person.shape, 1.0)


def in_metres(model: HeadModel) -> tuple[HeadModel, float]:
    """The model scaled to adult eyes' distance, which one camera cannot measure; the factor."""
    scale = float(INTER_OCULAR_M / (model.joints[3] - model.joints[4]).norm())
    basis = model.pose_basis
    scaled = model._replace(
        template=model.template * scale,
        shape_basis=model.shape_basis * scale,
        expr_basis=model.expr_basis * scale,
        joints=model.joints * scale,
        pose_basis=None if basis is None else basis * scale,
    )
    return scaled, scale


def _with_offset(model: HeadModel, follow: Tensor, offset: Tensor) -> HeadModel:
    """The model with the offset as a shape mode; eyeballs go with their lids, teeth with lips."""
    mode = follow @ offset  # [V, 3]
    joints = model.joints.clone()
    for joint, lids in ((LEFT_JOINT, LEFT_EYE), (RIGHT_JOINT, RIGHT_EYE)):
        moved = offset[list(lids)].mean(0)
        mode[model.weights[:, joint] > 0] = moved
        joints[joint] += moved
    is_still = follow.abs().sum(1) == 0
    behind_lips = torch.zeros(len(mode), dtype=torch.bool)
    behind_lips[torch.from_numpy(vertices_of(model, ("teeth", "mouth_inside")))] = True
    mode[is_still & behind_lips] = offset[list(INNER_LIPS)].mean(0)
    return model._replace(shape_basis=torch.cat([model.shape_basis, mode[None]]), joints=joints)
