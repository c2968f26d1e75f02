"""The open head: a head model that needs no licensed file.

Face in MediaPipe's 468-point topology, hair shell, neck, torso, mouth and teeth by construction,
expression units in ARKit's vocabulary (``shared.open_head_parts``). FLAME's layout and five
joints, after Li et al. 2017; without pose correctives.
"""

import torch
from torch import Tensor

from shared.head_model import HeadModel
from shared.open_head_parts.assembly import build_open_head, carry_fields

NEEDS_FILE = None
"""No operator's file is needed (``shared.model_files`` names those that others need)."""


def build() -> HeadModel:
    """The mean head, before it is fitted to a subject."""
    return build_open_head()


def carry_expression(face_fields: Tensor) -> Tensor:
    """Displacements of the face's vertices carried on to all. [E, 468, 3] -> [E, V, 3]"""
    return carry_fields(face_fields)


def joints_of(model: HeadModel, shape: Tensor) -> Tensor:
    """The joints of a person: each eyeball's centre moves with its ball. [5, 3]"""
    moved = torch.einsum("k,kvc->vc", shape, model.shape_basis)
    joints = model.joints.clone()
    for joint, iris in ((3, 473), (4, 468)):
        joints[joint] += moved[model.landmark_vertices[iris]]
    return joints
