"""A short code of the expression, which learned corrections are linear in.

Principal components of how the face mesh moves over the training frames, as a linear function of
expression and jaw, so that any motion has a code. Codes are of unit variance and saturate, since
corrections are unknown beyond what was seen.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.head_model import (
    N_FACE_LANDMARKS,
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    pose_vertices,
)

LIMIT = 2.0
"""Expression codes saturate at this many standard deviations."""
TURN_LIMIT = 3.0
"""So do those of rotation, which stand for depth that is not right: they reach further."""
N_TURN_CODES = 3
"""The last codes are the head's rotation."""
RIDGE = 1e-3
N_SAMPLE = 256
"""Training frames the components are found on, evenly chosen."""


class CodeBasis(NamedTuple):
    """Linear map from (expr, jaw, rotation) to codes."""

    weights: Tensor  # [E + 6, C]
    offset: Tensor  # [C]


def inputs_of(pose: HeadPose) -> Tensor:
    """What a code is made of. -> [B, E + 6]"""
    return torch.cat([pose.expr, pose.jaw_pose, pose.rotation], dim=1)


def fit_code_basis(
    model: HeadModel, neutral: Tensor, pose: HeadPose, n_expression: int
) -> CodeBasis:
    """Find ``n_expression`` components of the face's motion, and add the head's rotation.

    Args:
        model: The head model.
        neutral: The subject at rest. [V, 3]
        pose: The training frames.
        n_expression: Number of components.

    Returns:
        A basis of ``n_expression + N_TURN_CODES`` codes.
    """
    n_frames = len(pose.expr)
    step = max(1, n_frames // N_SAMPLE)
    sample = HeadPose(*(values[::step] for values in pose))
    still = sample._replace(
        rotation=torch.zeros_like(sample.rotation),
        translation=torch.zeros_like(sample.translation),
        neck_pose=torch.zeros_like(sample.neck_pose),
    )
    patch, members = landmark_patch(model)
    marks = landmarks_on(patch, pose_vertices(patch, neutral[members], still))
    moves = marks[:, :N_FACE_LANDMARKS:2].flatten(1)  # [B, 234 * 3] m
    moves = moves - moves.mean(0)
    components = torch.linalg.svd(moves, full_matrices=False)[2][:n_expression]
    codes = moves @ components.T
    features = torch.cat([sample.expr, sample.jaw_pose], dim=1)
    centre = features.mean(0)
    scale = features.std(0).clamp_min(1e-4)
    inputs = (features - centre) / scale
    gram = inputs.T @ inputs + RIDGE * len(inputs) * torch.eye(inputs.shape[1])
    slopes = torch.linalg.solve(gram, inputs.T @ codes) / scale[:, None]
    if n_expression:  # the deviation of nothing is no number
        slopes = slopes / (features @ slopes).std(0).clamp_min(1e-8)
    turn_scale = pose.rotation.std(0).clamp_min(1e-3)
    weights = torch.block_diag(slopes, torch.diag(1 / turn_scale))
    offset = -torch.cat([centre @ slopes, pose.rotation.mean(0) / turn_scale])
    return CodeBasis(weights, offset)


def expression_codes(basis: CodeBasis, pose: HeadPose) -> Tensor:
    """Codes of each frame, within their limits. -> [B, C]"""
    raw = inputs_of(pose) @ basis.weights + basis.offset
    limits = torch.full_like(basis.offset, LIMIT)
    limits[-N_TURN_CODES:] = TURN_LIMIT
    return limits * torch.tanh(raw / limits)
