"""Where Gaussians start: at pixels of training frames, or on every triangle.

The second is GaussianAvatars' (Qian et al., CVPR 2024, section 3.1). The first needs fewer steps
where there is one camera: every Gaussian begins with the colour and the size of what it shows.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.avatar_method import Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.rigging.seeding import bind_pixels
from shared.rigging.triangle_frames import triangle_frames

APART_REGIONS = (REGIONS.index("neck"), REGIONS.index("torso"))
"""Neck and torso: what a picture shows of them rides on them alone, wherever the mesh is."""
SPREAD = 0.25
"""Several Gaussians of a triangle start this far about its centre, in triangle sizes."""


class Placed(NamedTuple):
    """Gaussians on the mesh."""

    binding: Tensor  # [M] int64, face of each
    local: Tensor  # [M, 3] place in the triangle's frame, in triangle sizes
    rest: Tensor  # [M, 3] m, place on the neutral head
    log_scales: Tensor  # [M, 3] of triangle sizes
    colors: Tensor  # [M, 3]


def place_at_pixels(subject: Subject, neutral: Tensor, points: Seed, vertices: Tensor) -> Placed:
    """Where a frame shows them, each on a part of the mesh of its own kind.

    Args:
        subject: The person.
        neutral: Vertices at rest. [V, 3]
        points: Pixels of one training frame.
        vertices: Posed as in that frame. [V, 3]
    """
    labels = subject.head_model.face_regions
    kinds = [torch.tensor([label], dtype=labels.dtype) for label in APART_REGIONS]
    apart = torch.tensor(APART_REGIONS, dtype=labels.dtype)
    n = len(points.pixels)
    placed = Placed(
        binding=torch.zeros(n, dtype=torch.int64),
        local=torch.zeros(n, 3),
        rest=torch.zeros(n, 3),
        log_scales=torch.zeros(n, 3),
        colors=points.colors,
    )
    for kind in (*kinds, None):
        wanted = ~torch.isin(points.labels, apart) if kind is None else points.labels == kind
        allowed = ~torch.isin(labels, apart) if kind is None else labels == kind
        if not wanted.any():
            continue
        bound = bind_pixels(
            points.pixels[wanted],
            vertices,
            subject.head_model.faces,
            allowed,
            viewmat=subject.viewmat,
            K=subject.K,
            crop_size=subject.crop_size,
        )
        placed.binding[wanted] = bound.binding
        placed.local[wanted] = bound.local
        placed.rest[wanted] = rest_places(subject, neutral, bound.binding, bound.local)
        spread = (points.spacing[wanted] * bound.pixel_sizes).clamp(1e-3, 1.0)
        placed.log_scales[wanted] = spread.log()[:, None].expand(-1, 3)
    return placed


def place_on_faces(subject: Subject, neutral: Tensor, per_face: int, seed: int) -> Placed:
    """``per_face`` Gaussians on every triangle, one triangle in size together, of any colour."""
    generator = torch.Generator().manual_seed(seed)
    n_faces = len(subject.head_model.faces)
    n = n_faces * per_face
    binding = torch.arange(n_faces).repeat_interleave(per_face)
    local = torch.zeros(n, 3)
    if per_face > 1:
        # The second axis is the normal: they start in the triangle's plane.
        local[:, ::2] = SPREAD * torch.randn(n, 2, generator=generator)
    return Placed(
        binding=binding,
        local=local,
        rest=rest_places(subject, neutral, binding, local),
        log_scales=torch.full((n, 3), per_face**-0.5).log(),
        colors=torch.rand(n, 3, generator=generator),
    )


def nearly_identity(n: int, seed: int) -> Tensor:
    """Quaternions: isotropic Gaussians have no gradient of their own by rotation. [n, 4]"""
    noise = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    return torch.tensor([1.0, 0, 0, 0]) + 0.01 * noise


def rest_places(subject: Subject, neutral: Tensor, binding: Tensor, local: Tensor) -> Tensor:
    """Where bound points lie on the neutral head. [M, 3]"""
    frames = triangle_frames(neutral, subject.head_model.faces)
    place = local * frames.sizes[binding, None]
    return frames.centres[binding] + (frames.rotations[binding] * place[:, None]).sum(-1)
