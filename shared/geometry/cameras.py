"""The pinhole camera in front of a head: OpenCV axes, one viewing matrix for a capture."""

import torch
from torch import Tensor


def frontal_viewmat(distance: float) -> Tensor:
    """World to camera for a camera at (0, 0, ``distance``) that looks at the origin. [4, 4]

    World axes are the head's (x to the subject's left, y up, z out of the face), the camera's
    are OpenCV's (x right, y down, z forward); the subject's left is at image right.
    """
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = distance
    return viewmat


def intrinsics(focal: float, image_size: int) -> Tensor:
    """Pinhole of a square image with its principal point at the centre. [3, 3] px"""
    centre = image_size / 2
    return torch.tensor([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])


def to_camera(points: Tensor, viewmat: Tensor) -> Tensor:
    """World points in camera space. [..., 3] m"""
    return points @ viewmat[:3, :3].T + viewmat[:3, 3]


def project(points: Tensor, viewmat: Tensor, K: Tensor) -> Tensor:
    """World points [..., 3] to pixels [..., 2]; pixel centres are at half integers."""
    camera = to_camera(points, viewmat)
    return camera[..., :2] / camera[..., 2:] * torch.diagonal(K)[:2] + K[:2, 2]
