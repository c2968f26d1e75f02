"""Puts points of a picture onto a posed mesh."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from shared.rigging.triangle_frames import triangle_frames

F32 = NDArray[np.float32]


class Bound(NamedTuple):
    """Points bound to triangles."""

    binding: Tensor  # [M] face of each point
    local: Tensor  # [M, 3] place in the triangle's frame, in triangle sizes
    pixel_sizes: Tensor  # [M] one pixel at the point, in triangle sizes


def bind_pixels(
    pixels: Tensor,  # [M, 2]
    vertices: Tensor,  # [V, 3] world
    faces: Tensor,  # [F, 3]
    allowed: Tensor,  # [F] bool
    *,
    viewmat: Tensor,
    K: Tensor,
    crop_size: int,
) -> Bound:
    """Cast each pixel onto the allowed faces; where it misses them, the nearest one serves."""
    numbers = torch.nonzero(allowed)[:, 0]
    faces = faces[numbers]
    seen = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]  # [V, 3] camera space
    image = (seen[:, :2] / seen[:, 2:]) @ K[:2, :2].T + K[:2, 2]
    owner = paint_faces(image.numpy(), seen[:, 2].numpy(), faces.numpy(), crop_size)
    near = distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    column, row = pixels.long().clamp(0, crop_size - 1).T.numpy()
    at = near[:, row, column]  # [2, M] nearest covered pixel
    binding = torch.from_numpy(owner[at[0], at[1]].astype(np.int64))
    covered = torch.from_numpy(np.stack([at[1], at[0]], 1).astype(np.float32)) + 0.5
    inside = torch.from_numpy((at == np.stack([row, column])).all(0))
    depth = _plane_depth(torch.where(inside[:, None], pixels, covered), seen, faces[binding], K)
    rays = torch.cat([(pixels - K[:2, 2]) / torch.diagonal(K)[:2], torch.ones(len(pixels), 1)], 1)
    points = (rays * depth[:, None] - viewmat[:3, 3]) @ viewmat[:3, :3]  # world
    frames = triangle_frames(vertices, faces)
    size = frames.sizes[binding]
    turned = frames.rotations[binding].transpose(1, 2)
    local = (turned @ (points - frames.centres[binding])[..., None])[..., 0] / size[:, None]
    return Bound(numbers[binding], local, depth / K[0, 0] / size)


def paint_faces(image: F32, depth: F32, faces: NDArray[np.int64], size: int) -> F32:
    """Number of the nearest face at each pixel, -1 where there is none. [size, size]"""
    owner = np.full((size, size), -1, np.float32)
    corners = image[faces]  # [F, 3, 2]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    order = np.argsort(-depth[faces].mean(1), kind="stable")
    fixed_point = np.round((corners - 0.5) * 16).astype(np.int32)
    for face in order:
        if abs(area[face]) > 1e-3:  # noqa: PLR2004 - square pixels
            cv2.fillConvexPoly(owner, fixed_point[face], float(face), shift=4)
    return owner


def _plane_depth(pixels: Tensor, seen: Tensor, corners: Tensor, K: Tensor) -> Tensor:
    """Depth where each pixel's ray meets its triangle's plane, kept near the triangle."""
    a, b, c = seen[corners].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    rays = torch.cat([(pixels - K[:2, 2]) / torch.diagonal(K)[:2], torch.ones(len(pixels), 1)], 1)
    slope = (normal * rays).sum(1)
    safe = torch.where(slope.abs() < 1e-12, torch.full_like(slope, 1e-12), slope)  # noqa: PLR2004
    depths = torch.stack([a[:, 2], b[:, 2], c[:, 2]])
    low, high = depths.min(0).values, depths.max(0).values
    return torch.minimum(torch.maximum((normal * a).sum(1) / safe, low), high)
