"""Moves the head model's mesh: skinned as FLAME is, with a torso of its own in the root's place."""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.avatar_method import Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.geometry.rotations import axis_angle_to_matrix
from shared.head_model import HeadModel, HeadPose, joint_transforms, shaped_vertices
from shared.rigging.body import body_transform

TORSO = REGIONS.index("torso")


class Torso(NamedTuple):
    """Where the usual head pose puts the torso, and what it turns about."""

    rotation: Tensor  # [3, 3]
    shift: Tensor  # [3] m
    pivot: Tensor  # [3] m, its centre in world space


class MovedMesh(NamedTuple):
    """A posed mesh, and how head and torso come apart.

    x -> turn x + shift is the way from where the torso takes a point to where the head takes it.
    """

    vertices: Tensor  # [V, 3] m, world
    turn: Tensor  # [3, 3]
    shift: Tensor  # [3] m


def torso_at_rest(subject: Subject, neutral: Tensor) -> Torso:
    """The torso as the usual head pose of the training frames holds it."""
    pose = subject.training_pose
    turn = axis_angle_to_matrix(pose.rotation.median(0).values)
    root = subject.head_model.joints[0]
    shift = root - turn @ root + pose.translation.median(0).values
    labels = subject.head_model.face_regions
    vertices = subject.head_model.faces[labels == TORSO].unique()
    centre = neutral[vertices].mean(0) if len(vertices) else root
    return Torso(turn, shift, turn @ centre + shift)


def move_mesh(
    model: HeadModel,
    neutral: Tensor,  # [V, 3] m
    torso: Torso | None,  # None: the root joint moves it with the head, as FLAME has it
    motion: HeadPose,  # one frame
    body: Tensor,  # [6] torso motion
) -> MovedMesh:
    """Expression and skinning of one frame, with a torso instead of FLAME's root joint."""
    shaped = shaped_vertices(model, neutral, motion)[0]
    rotations, shifts = joint_transforms(model.joints, motion)
    rotations, shifts = rotations[0], shifts[0] + motion.translation
    if torso is not None:
        turn, shift = body_transform(body, *torso)
        rotations = torch.cat([turn[None], rotations[1:]])
        shifts = torch.cat([shift[None], shifts[1:]])
    blended = (model.weights @ rotations.flatten(1)).view(-1, 3, 3)
    vertices = (blended * shaped[:, None]).sum(-1) + model.weights @ shifts
    return MovedMesh(vertices, rotations[1] - rotations[0], shifts[1] - shifts[0])
