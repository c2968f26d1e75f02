"""How much of each learned residual a frame takes: a small network of expression, jaw and pose.

After Yu et al., "GaussianTalker: Speaker-specific Talking Head Synthesis via 3D Gaussian
Splatting" (ACM MM 2024): the head pose becomes a latent that joins expression and jaw. Their
widths are not published; these are ours. Inputs saturate, since residuals are unknown beyond what
was seen.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.head_model import HeadPose
from shared.rigging.stored_tensors import Shapes

N_LATENT = 8
N_HIDDEN = 64
N_POSE = 9
"""Rotation, neck and translation."""
LIMIT = 2.0
"""Inputs saturate at this many standard deviations."""
LEAST_SPREAD = {"face": 0.05, "rotation": 0.01, "translation": 0.002}
"""Standard deviations below count as this: what hardly moved is noise."""

NETWORK_SHAPES: Shapes = {
    "latent_weight": (N_POSE, N_LATENT),
    "hidden_weight": ("E+3+8", N_HIDDEN),
    "hidden_bias": (N_HIDDEN,),
    "out_weight": (N_HIDDEN, "K"),
    "out_bias": ("K",),
}
INPUT_SHAPES: Shapes = {
    "face_centre": ("E+3",),
    "face_spread": ("E+3",),
    "pose_centre": (N_POSE,),
    "pose_spread": (N_POSE,),
}
NETWORK_RATES = dict.fromkeys(NETWORK_SHAPES, 1e-3)


class FrameWeights(NamedTuple):
    """Weights of K residuals in T frames."""

    face: Tensor  # [T, K]
    hair: Tensor  # [T, K] the same with a face that rests: hair does not speak


def start_network(pose: HeadPose, n_residuals: int, seed: int) -> dict[str, Tensor]:
    """A network whose outputs begin as the main ways in which its hidden layer varies.

    So the residuals start out apart, each with a weight of unit variance over the training frames
    (as principal components of the expression would), and training goes on from there.

    Args:
        pose: The training frames.
        n_residuals: K, at most ``N_HIDDEN``.
        seed: Draws the first layers.
    """
    generator = torch.Generator().manual_seed(seed)
    face, place = _inputs(pose)
    n_face = face.shape[1]
    place_least = torch.tensor([LEAST_SPREAD["rotation"]] * 6 + [LEAST_SPREAD["translation"]] * 3)
    tensors = {
        "face_centre": face.mean(0),
        "face_spread": _spread(face).clamp_min(LEAST_SPREAD["face"]),
        "pose_centre": place.mean(0),
        "pose_spread": torch.maximum(_spread(place), place_least),
        "latent_weight": torch.randn(N_POSE, N_LATENT, generator=generator) / N_POSE**0.5,
        "hidden_weight": torch.randn(n_face + N_LATENT, N_HIDDEN, generator=generator)
        / (n_face + N_LATENT) ** 0.5,
        "hidden_bias": torch.zeros(N_HIDDEN),
    }
    hidden = _hidden(tensors, *_scaled(tensors, pose))
    mean = hidden.mean(0)
    _, strength, ways = torch.linalg.svd(hidden - mean, full_matrices=False)
    kept = min(n_residuals, len(strength))
    out = torch.zeros(N_HIDDEN, n_residuals)
    deviation = (strength[:kept] / len(hidden) ** 0.5).clamp_min(1e-3)
    out[:, :kept] = ways[:kept].T / deviation
    return {**tensors, "out_weight": out, "out_bias": -mean @ out}


def frame_weights(tensors: dict[str, Tensor], pose: HeadPose) -> FrameWeights:
    """Weights of every frame, from ``start_network``'s tensors or what became of them."""
    face, place = _scaled(tensors, pose)
    weights = [
        _hidden(tensors, told, place) @ tensors["out_weight"] + tensors["out_bias"]
        for told in (face, torch.zeros_like(face))
    ]
    return FrameWeights(*weights)


def _inputs(pose: HeadPose) -> tuple[Tensor, Tensor]:
    face = torch.cat([pose.expr, pose.jaw_pose], 1)  # [T, E + 3]
    return face, torch.cat([pose.rotation, pose.neck_pose, pose.translation], 1)


def _spread(values: Tensor) -> Tensor:
    return values.std(0) if len(values) > 1 else torch.zeros(values.shape[1])


def _scaled(tensors: dict[str, Tensor], pose: HeadPose) -> tuple[Tensor, Tensor]:
    """Inputs in standard deviations, within their limits. [T, E + 3] and [T, 9]"""
    face, place = _inputs(pose)
    face = (face - tensors["face_centre"]) / tensors["face_spread"]
    place = (place - tensors["pose_centre"]) / tensors["pose_spread"]
    return LIMIT * torch.tanh(face / LIMIT), LIMIT * torch.tanh(place / LIMIT)


def _hidden(tensors: dict[str, Tensor], face: Tensor, place: Tensor) -> Tensor:
    told = torch.cat([face, place @ tensors["latent_weight"]], 1)
    return torch.tanh(told @ tensors["hidden_weight"] + tensors["hidden_bias"])
