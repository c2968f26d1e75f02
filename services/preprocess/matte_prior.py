"""Where the person usually is: keeps the segmentation from losing a part in some frames.

The network drops dark hair or a shoulder now and then. The head's outline turns with the head, so
its masks are averaged in the head's own frame; the shoulders hardly move, so theirs are averaged in
the picture. A pixel that belongs to the person often enough is at least undecided in every frame,
and the colour of the background decides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.landmarks import CHIN, FOREHEAD_TOP, NOSE_ROOT, RIGID

F32 = NDArray[np.float32]

_RARELY, _OFTEN = 0.15, 0.5  # shares of the frames
_UNDECIDED = 0.5
_NECK_HEIGHT = 0.35  # face heights below the chin over which the head hands over to the shoulders


class MattePrior(NamedTuple):
    """Averages of coarse masks over training frames."""

    head: F32  # [S, S] in the frame of ``landmarks``
    landmarks: F32  # [478, 2]
    still: F32  # [S, S] in the picture


def learn_prior(masks: Sequence[F32], landmarks: F32) -> MattePrior:
    """Average coarse masks.

    Args:
        masks: The person's probability in K training frames. K x [S, S]
        landmarks: Of the same frames, crop pixels. [K, 478, 3]
    """
    reference = landmarks[len(landmarks) // 2, :, :2]
    head = np.zeros_like(masks[0])
    for mask, points in zip(masks, landmarks, strict=True):
        head += _carried(mask, points[:, :2], reference)
    still = np.mean(masks, axis=0, dtype=np.float32)
    return MattePrior(head / np.float32(len(masks)), reference, still)


def with_prior(probability: F32, landmarks: F32, prior: MattePrior) -> F32:
    """Raise a mask to undecided where the person usually is.

    Args:
        probability: Coarse mask. [S, S]
        landmarks: Of its frame, crop pixels. [478, 3]
        prior: What training frames show.
    """
    head = _carried(prior.head, prior.landmarks, landmarks[:, :2])
    share = _share_of_head(probability.shape[0], landmarks)
    usual = share * head + (1.0 - share) * prior.still
    raised = _UNDECIDED * np.clip((usual - _RARELY) / (_OFTEN - _RARELY), 0.0, 1.0)
    return np.asarray(np.maximum(probability, raised), dtype=np.float32)


def _carried(mask: F32, source: F32, target: F32) -> F32:
    """Carry a mask along the similarity that takes the rigid landmarks to others."""
    rigid = list(RIGID)
    a, b = source[rigid].astype(np.float64), target[rigid].astype(np.float64)
    a_mean, b_mean = a.mean(axis=0), b.mean(axis=0)
    # Least squares in complex numbers: one factor turns and scales.
    a_complex = (a - a_mean) @ np.array([1.0, 1.0j])
    b_complex = (b - b_mean) @ np.array([1.0, 1.0j])
    factor = np.vdot(a_complex, b_complex) / np.vdot(a_complex, a_complex).real
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    shift = b_mean - turn @ a_mean
    matrix = np.concatenate([turn, shift[:, None]], axis=1)
    return np.asarray(
        cv2.warpAffine(mask, matrix, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE),
        dtype=np.float32,
    )


def _share_of_head(size: int, landmarks: F32) -> F32:
    """1 above the chin, falling to 0 at the neck. [S, S]"""
    axis = landmarks[NOSE_ROOT, :2] - landmarks[CHIN, :2]
    up = axis / max(float(np.linalg.norm(axis)), 1e-6)
    height = float(np.linalg.norm(landmarks[FOREHEAD_TOP, :2] - landmarks[CHIN, :2]))
    along = np.arange(size, dtype=np.float32) + 0.5
    heights = along[None, :] * up[0] + along[:, None] * up[1] - float(landmarks[CHIN, :2] @ up)
    return np.asarray(np.clip(1.0 + heights / (_NECK_HEIGHT * height), 0.0, 1.0))
