"""A frame for each triangle of a mesh: where Gaussians that ride on it live.

Source: GaussianAvatars (Qian et al., CVPR 2024), section 3.1.
"""

from typing import NamedTuple

import torch
from torch import Tensor

MIN_SIZE_M = 1e-4
"""Triangles may collapse (a closed eye); what rides on them must not become singular."""


class TriangleFrames(NamedTuple):
    """Position, orientation and size of F triangles."""

    centres: Tensor  # [..., F, 3] m
    rotations: Tensor  # [..., F, 3, 3] columns: edge, normal, and their cross product
    sizes: Tensor  # [..., F] m, mean of base and height


def triangle_frames(
    vertices: Tensor,  # [..., V, 3] m
    faces: Tensor,  # [F, 3]
) -> TriangleFrames:
    """Frames of all triangles."""
    corner = vertices[..., faces[:, 0], :]
    base = vertices[..., faces[:, 1], :] - corner
    side = vertices[..., faces[:, 2], :] - corner
    length = base.norm(dim=-1, keepdim=True).clamp_min(MIN_SIZE_M)
    edge = base / length
    normal = torch.linalg.cross(edge, side)
    normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(MIN_SIZE_M**2)
    third = -torch.linalg.cross(normal, edge)
    height = (third * side).sum(-1).abs()
    return TriangleFrames(
        centres=corner + (base + side) / 3,
        rotations=torch.stack([edge, normal, third], dim=-1),
        sizes=(0.5 * (length[..., 0] + height)).clamp_min(MIN_SIZE_M),
    )
