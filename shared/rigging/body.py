"""The torso: a rigid body of its own, which follows the head by a rule learned from the capture.

A speaker's torso sways with the head: head position and roll together tell where the neck's
base is. So its motion is a linear function of the head pose, a little later and smoother, fitted
to the motion that was seen. How much later and smoother is chosen by cross-validation over
blocks of the training frames.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from shared.geometry.rotations import axis_angle_to_matrix

RIDGE = 1.0
"""In units of frames, on inputs of unit variance."""
INPUTS = (1, 2, 3, 4)
"""Yaw, roll, sideways and upward shift; nods and depth tell of the head alone."""
SMOOTHINGS = (0.0, 2.0, 4.0)
LAGS = (0, 1, 2, 3)
N_BLOCKS = 4
KERNEL_RADIUS = 12
TURN_ARM_M = 0.15
"""Half the width of a torso: what a turn of one radian moves its edges by."""


class BodyRule(NamedTuple):
    """How the torso follows the head."""

    weights: Tensor  # [7, 6] the last row is the offset
    timing: Tensor  # [2] smoothing (standard deviation) and lag, in frames


def fit_body_rule(
    head: Tensor,  # [T, 6] rotation and translation
    body: Tensor,  # [T, 6]
) -> BodyRule:
    """Ridge regression, with the smoothing and the lag that predict unseen blocks best."""
    best = min(
        ((smoothing, lag) for smoothing in SMOOTHINGS for lag in LAGS),
        key=lambda timing: _unseen_error(_delayed(head, *timing), body),
    )
    return BodyRule(_ridge(_delayed(head, *best), body), torch.tensor(best, dtype=torch.float32))


def follow_head(
    rule: BodyRule,
    head: Tensor,  # [T, 6]
) -> Tensor:
    """Torso motion for any head motion. -> [T, 6]"""
    smoothing, lag = rule.timing.tolist()
    return _delayed(head, smoothing, int(lag)) @ rule.weights[:6] + rule.weights[6]


def _delayed(head: Tensor, smoothing: float, lag: int) -> Tensor:
    """Head motion smoothed and ``lag`` frames late; the ends are held. [T, 6]"""
    n_frames = len(head)
    if smoothing > 0:
        offsets = torch.arange(-KERNEL_RADIUS, KERNEL_RADIUS + 1, dtype=head.dtype)
        kernel = torch.exp(-0.5 * (offsets / smoothing).square())
        at = torch.arange(n_frames)[:, None] + offsets.long()
        windows = head[at.clamp(0, n_frames - 1)]  # [T, 25, 6]
        head = torch.einsum("k,tkc->tc", kernel / kernel.sum(), windows)
    return head[(torch.arange(n_frames) - lag).clamp(0, n_frames - 1)]


def _ridge(head: Tensor, body: Tensor) -> Tensor:
    chosen = head[:, INPUTS]
    mean, deviation = chosen.mean(0), chosen.std(0).clamp_min(1e-6)
    inputs = ((chosen - mean) / deviation).double()
    centred = (body - body.mean(0)).double()
    gram = inputs.T @ inputs + RIDGE * torch.eye(len(INPUTS), dtype=torch.float64)
    slope = torch.linalg.solve(gram, inputs.T @ centred).float() / deviation[:, None]
    weights = torch.zeros(7, 6)
    weights[list(INPUTS)] = slope
    weights[6] = body.mean(0) - mean @ slope
    return weights


def _unseen_error(head: Tensor, body: Tensor) -> float:
    """Mean squared shift of the torso's edges that a rule fitted elsewhere leaves, m^2."""
    edges = torch.linspace(0, len(head), N_BLOCKS + 1).long().tolist()
    unit = torch.tensor([TURN_ARM_M] * 3 + [1.0] * 3)
    total = 0.0
    for start, end in pairwise(edges):
        is_seen = torch.ones(len(head), dtype=torch.bool)
        is_seen[start:end] = False
        weights = _ridge(head[is_seen], body[is_seen])
        error = head[start:end] @ weights[:6] + weights[6] - body[start:end]
        total += float((error * unit).square().sum())
    return total


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
