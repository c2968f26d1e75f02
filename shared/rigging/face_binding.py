"""What binding to faces asks of a training: sizes, distances, and a Gaussian for every face.

Source: GaussianAvatars (Qian et al., CVPR 2024), sections 3.2 and 3.3.
"""

import math

import torch
from torch import Tensor

MAX_DISTANCE = 1.0
"""Beyond this many triangle sizes from its triangle a Gaussian is pulled back."""
MAX_SCALE = 0.6
"""Above this many triangle sizes a Gaussian is shrunk."""
CHILD_SHRINK = math.log(1.6)
"""Both of a split pair shrink by this factor (3D Gaussian Splatting)."""


def distance_penalty(local: Tensor) -> Tensor:
    """How far Gaussians are from their triangles beyond the limit. [N, 3] -> []"""
    return torch.relu(local.norm(dim=1) - MAX_DISTANCE).mean()


def scale_penalty(log_scales: Tensor) -> Tensor:
    """How much larger than their triangles Gaussians are beyond the limit. [N, 3] -> []"""
    return torch.relu(log_scales.exp() - MAX_SCALE).norm(dim=1).mean()


def split_offsets(log_scales: Tensor, noise: Tensor) -> Tensor:
    """How far the new one of a split pair moves off its parent, in triangle sizes. [N, 3]

    Places and scales are both in triangle sizes, so that the offset in the world is as large as
    the Gaussian. (The reference code adds a deviation in metres to a place in triangle sizes,
    which makes offsets tiny.)
    """
    return noise * log_scales.exp()


def last_of_faces(binding: Tensor, doomed: Tensor, opacities: Tensor) -> Tensor:
    """Which of the doomed must stay: the most opaque of each face that would lose its last.

    Args:
        binding: Face of each Gaussian. [N]
        doomed: Gaussians that are about to be removed. [N] bool
        opacities: Any measure that grows with opacity. [N]

    Returns:
        [N] bool, a part of ``doomed``.
    """
    n_faces = int(binding.max()) + 1 if len(binding) else 0
    n_left = torch.bincount(binding[~doomed], minlength=n_faces)
    order = torch.argsort(opacities, descending=True, stable=True)
    candidates = order[doomed[order] & (n_left[binding[order]] == 0)]
    faces = binding[candidates]
    # Of each face the first candidate is the most opaque one.
    first = torch.full((n_faces,), len(candidates)).scatter_reduce(
        0, faces, torch.arange(len(candidates)), "amin"
    )
    spared = torch.zeros_like(doomed)
    spared[candidates[first[first < len(candidates)]]] = True
    return spared
