"""Keeps attention where it belongs: sound in the lower face, brows and blinks out of it.

SyncTalk penalises attention to sound outside the lower face, below the tip of the nose, and to
expression inside it. SyncGaussianTalker regularises the attention to the frame's code besides.
"""

import torch
from torch import Tensor

from shared.avatar_method import Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import landmark_patch, landmarks_on, neutral_vertices
from shared.landmarks import NOSE_TIP

MASK_WEIGHT = 1e-4
"""At the end of a training; it grows from 0 (SyncTalk)."""
FACE = tuple(
    REGIONS.index(name)
    for name in ("face", "lips", "teeth", "mouth_inside", "eyes", "brows", "nose")
)


def nose_height(subject: Subject) -> float:
    """Height of the tip of the nose at rest, m."""
    patch, _ = landmark_patch(subject.head_model)
    tip = landmarks_on(patch, neutral_vertices(patch, subject.shape))[NOSE_TIP]
    return float(tip[1])


def is_lower_face(rest: Tensor, labels: Tensor, nose: float) -> Tensor:
    """Which places are in the face and below the tip of the nose. [M, 3], [M] -> [M] bool"""
    in_face = torch.isin(labels, torch.tensor(FACE, dtype=labels.dtype))
    return in_face & (rest[:, 1] < nose)


def masked_penalty(audio: Tensor, expression: Tensor, is_lower: Tensor, done: float) -> Tensor:
    """Of attention in the wrong half.

    Args:
        audio: Attention to sound of each Gaussian. [M]
        expression: The same to the upper face. [M]
        is_lower: From ``is_lower_face``. [M]
        done: Share of the training that is done.
    """
    astray = torch.where(is_lower, expression, audio)
    return MASK_WEIGHT * done * astray.mean()
