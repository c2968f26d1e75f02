"""Counts what must not be seen, while rendering: holes, gaps, stretched Gaussians.

The evaluator adds what only a look at the finished video tells (crossed lips).
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from shared.avatar_method import AvatarModel, Performance, Subject
from shared.head_model import (
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)
from shared.landmarks import FACE_OVAL
from shared.layers import Layers

F32 = NDArray[np.float32]

SHRINK = 0.95
"""The outline is drawn in towards its middle, so that the soft rim of the head does not count."""
OPAQUE = 0.5
"""Alpha from which a pixel is covered."""
STRETCH_PERCENTILE = 0.99

_CHIN_PART = tuple(range(15, 22))
"""Places in FACE_OVAL from one side of the chin to the other."""


class Artefacts(NamedTuple):
    """Of one frame."""

    transparent_pixels: int
    """Inside the outline of the face."""
    uncovered_pixels: int
    """Below the chin, in its columns, down to the lower border."""
    stretch_p99: float
    """99th percentile over Gaussians of longest axis against its canonical length."""


def face_outlines(subject: Subject, motion: HeadPose) -> Tensor:
    """The face's outline in world space. -> [T, 36, 3]"""
    patch, _ = landmark_patch(subject.head_model)
    posed = _pose_in_parts(patch, neutral_vertices(patch, subject.shape), motion)
    return landmarks_on(patch, posed)[:, list(FACE_OVAL)]


def canonical_lengths(model: AvatarModel, performance: Performance, pose: HeadPose) -> Tensor:
    """Longest axis of each Gaussian with the face at rest, in one frame's head pose. [N]

    Args:
        model: The avatar.
        performance: Any; it tells of what else than a pose the avatar asks for.
        pose: Of one frame.
    """
    rest = pose._replace(
        expr=torch.zeros_like(pose.expr),
        jaw_pose=torch.zeros_like(pose.jaw_pose),
        eyes_pose=torch.zeros_like(pose.eyes_pose),
    )
    audio, upper_face = (
        None if track is None else torch.zeros_like(track[:1])
        for track in (performance.audio, performance.upper_face)
    )
    return longest_axes(model.pose(model.condition(Performance(rest, audio, upper_face))[0]))


def longest_axes(layers: Layers) -> Tensor:
    """Longest axis of each Gaussian of all layers. [N]"""
    return torch.cat([layer.scales.amax(dim=1) for layer in layers])


def count_artefacts(
    layers: Layers,
    canonical: Tensor,
    alpha: Tensor,
    outline: Tensor,
    camera: tuple[Tensor, Tensor],
) -> Artefacts:
    """Look at one frame.

    Args:
        layers: As posed.
        canonical: From ``canonical_lengths``. [N]
        alpha: As drawn. [S, S]
        outline: The face's, in world space. [36, 3]
        camera: World to camera [4, 4] and intrinsics [3, 3].
    """
    points = project(outline, *camera).numpy()
    middle = points.mean(axis=0)
    shrunk = middle + SHRINK * (points - middle)
    chin = points[list(_CHIN_PART)]
    transparent, uncovered = _count_pixels(
        alpha.numpy(), shrunk.astype(np.float32), chin.astype(np.float32)
    )
    stretch = longest_axes(layers) / canonical
    rank = max(1, round(STRETCH_PERCENTILE * stretch.numel()))
    return Artefacts(transparent, uncovered, float(stretch.kthvalue(rank).values))


def project(points: Tensor, viewmat: Tensor, K: Tensor) -> Tensor:
    """World points to pixels. [P, 3] -> [P, 2]"""
    seen = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    pixels = seen @ K.T
    return pixels[:, :2] / pixels[:, 2:]


def _pose_in_parts(model: HeadModel, neutral: Tensor, motion: HeadPose) -> Tensor:
    """``pose_vertices`` without holding all frames' joint matrices at once."""
    parts = zip(*(values.split(256) for values in motion), strict=True)
    return torch.cat([pose_vertices(model, neutral, HeadPose(*part)) for part in parts])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # Numba has no types
def _count_pixels(alpha: F32, outline: F32, chin: F32) -> tuple[int, int]:
    """Pixels that are not covered: inside a polygon; below a line, in its columns."""
    height, width = alpha.shape
    transparent = 0
    n = len(outline)
    for row in range(max(0, int(outline[:, 1].min())), min(height, int(outline[:, 1].max()) + 1)):
        y = row + 0.5
        left, right = width + 1.0, -1.0
        for i in range(n):
            x0, y0 = outline[i]
            x1, y1 = outline[(i + 1) % n]
            if (y0 <= y) != (y1 <= y):
                x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
                left, right = min(left, x), max(right, x)
        for column in range(max(0, int(np.ceil(left - 0.5))), min(width, int(right + 0.5))):
            transparent += alpha[row, column] < OPAQUE
    uncovered = 0
    for i in range(len(chin) - 1):
        x0, y0 = chin[i]
        x1, y1 = chin[i + 1]
        if x1 < x0:
            x0, y0, x1, y1 = x1, y1, x0, y0
        for column in range(max(0, int(np.ceil(x0 - 0.5))), min(width, int(np.ceil(x1 - 0.5)))):
            start = y0 + (column + 0.5 - x0) / max(x1 - x0, 1e-6) * (y1 - y0)
            for row in range(max(0, int(start)), height):
                uncovered += alpha[row, column] < OPAQUE
    return transparent, uncovered
