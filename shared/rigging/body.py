"""The torso: a rigid body of its own, which follows the head by a rule learned from the capture.

A speaker's torso sways with the head: head position and roll together tell where the neck's
base is. So its motion is a linear function of the head pose, fitted to the motion that was seen.
"""

import torch
from torch import Tensor

from shared.geometry.rotations import axis_angle_to_matrix

RIDGE = 1.0
"""In units of frames, on inputs of unit variance."""


def fit_body_rule(
    head: Tensor,  # [T, 6] rotation and translation
    body: Tensor,  # [T, 6]
) -> Tensor:
    """Ridge regression from head pose to torso motion. -> [7, 6], the last row the offset"""
    mean, deviation = head.mean(0), head.std(0).clamp_min(1e-6)
    inputs = ((head - mean) / deviation).double()
    centred = (body - body.mean(0)).double()
    gram = inputs.T @ inputs + RIDGE * torch.eye(6, dtype=torch.float64)
    slope = torch.linalg.solve(gram, inputs.T @ centred).float() / deviation[:, None]
    offset = body.mean(0) - mean @ slope
    return torch.cat([slope, offset[None]])


def follow_head(
    rule: Tensor,  # [7, 6]
    head: Tensor,  # [T, 6]
) -> Tensor:
    """Torso motion for any head motion. -> [T, 6]"""
    return head @ rule[:6] + rule[6]


def body_transform(
    body: Tensor,  # [6]
    rest_rotation: Tensor,  # [3, 3]
    rest_shift: Tensor,  # [3]
    pivot: Tensor,  # [3] m, world
) -> tuple[Tensor, Tensor]:
    """Rotation and shift that take the torso from head-model rest to world space.

    At zero the torso stands where the usual head pose puts it; ``body`` turns it about ``pivot``
    and moves it from there.
    """
    turn = axis_angle_to_matrix(body[:3])
    return turn @ rest_rotation, turn @ (rest_shift - pivot) + pivot + body[3:]
