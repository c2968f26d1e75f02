"""Rotations in torch: axis-angle, matrices, quaternions (w, x, y, z)."""

import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, smooth at zero. [..., 3] -> [..., 3, 3]"""
    squared = axis_angle.square().sum(-1)[..., None, None]
    # The series below 1e-8 keeps the gradient finite where the angle vanishes.
    is_small = squared < 1e-8  # noqa: PLR2004 - squared radians
    safe = torch.where(is_small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(is_small, 1 - squared / 6, angle.sin() / angle)
    cosine = torch.where(is_small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + sine * skew + cosine * (skew @ skew)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Rotation matrices to unit quaternions, wxyz. [..., 3, 3] -> [..., 4]"""
    m = matrix
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    # Four candidates, each exact where its own component is the largest (Shepperd's method).
    candidates = torch.stack(
        [
            torch.stack(
                [
                    1 + trace,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 2, 1] - m[..., 1, 2],
                    1 + 2 * m[..., 0, 0] - trace,
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1 + 2 * m[..., 1, 1] - trace,
                    m[..., 1, 2] + m[..., 2, 1],
                ],
                -1,
            ),
            torch.stack(
                [
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1 + 2 * m[..., 2, 2] - trace,
                ],
                -1,
            ),
        ],
        -2,
    )  # [..., 4, 4]
    diagonal = torch.diagonal(candidates, dim1=-2, dim2=-1)
    best = diagonal.argmax(-1)[..., None, None].expand(*candidates.shape[:-2], 1, 4)
    return torch.nn.functional.normalize(candidates.gather(-2, best).squeeze(-2), dim=-1)


def multiply_quaternions(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product, wxyz. [..., 4], [..., 4] -> [..., 4]"""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def rotate_by_quaternions(vectors: Tensor, quats: Tensor) -> Tensor:
    """Turn vectors [..., 3] by quaternions wxyz of any length [..., 4]."""
    unit = torch.nn.functional.normalize(quats, dim=-1)
    real, axis = unit[..., :1], unit[..., 1:]
    across = 2 * torch.linalg.cross(axis, vectors)
    return vectors + real * across + torch.linalg.cross(axis, across)
