"""Corrections of each training frame's tracked expression, neck, jaw and eyes.

Source: GaussianAvatars (Qian et al., CVPR 2024), section 3.3: head-model parameters are tuned with
the Gaussians. Shape stays as it is.
"""

import torch
from torch import Tensor

from shared.head_model import HeadPose
from shared.rigging.stored_tensors import Shapes

TUNED = ("expr", "neck_pose", "jaw_pose", "eyes_pose")
TUNED_SHAPES: Shapes = {
    "expr_deltas": ("T", "E"),
    "neck_pose_deltas": ("T", 3),
    "jaw_pose_deltas": ("T", 3),
    "eyes_pose_deltas": ("T", 6),
}
TUNED_RATES = {
    "expr_deltas": 1e-3,
    "neck_pose_deltas": 2e-4,
    "jaw_pose_deltas": 2e-4,
    "eyes_pose_deltas": 2e-4,
}
"""The expression's is GaussianAvatars'; its 1e-5 for joints, made for 600 000 steps, would change
nothing here, so joints have the rate of the head pose."""


def start_tuning(pose: HeadPose) -> dict[str, Tensor]:
    """No corrections yet."""
    return {f"{name}_deltas": torch.zeros_like(getattr(pose, name)) for name in TUNED}


def tuned(motion: HeadPose, deltas: dict[str, Tensor], frame: int) -> HeadPose:
    """One frame's parameters with its corrections. [1, ...]"""
    moved = {
        name: getattr(motion, name) + deltas[f"{name}_deltas"][frame : frame + 1] for name in TUNED
    }
    return motion._replace(**moved)
