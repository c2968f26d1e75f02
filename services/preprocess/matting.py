"""Person matte: MediaPipe's selfie segmentation, sharpened with what the background looks like.

The network's mask is coarse (256 px) and misses strands and dark shoulders. Where the background
is known from other frames, a pixel that differs from it belongs to the person and one that does
not belongs to the background; that evidence is added near the mask's edge, and the sum is fitted
to the picture's edges by a guided filter (He et al. 2010, doi:10.1007/978-3-642-15549-9_1).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import mediapipe as mp
import numpy as np
from numpy.typing import NDArray

from shared.native_output import quiet_stderr

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_GENERAL = 0  # the square model; the other one is for landscape pictures
_BAND = 1 / 24  # reach of the background's evidence around the mask's edge, in picture sides
_EVIDENCE_FOR, _EVIDENCE_AGAINST = 6.0, 4.5  # log-odds at most; clothes may match a wall
_NEVER_SEEN = 2.0  # log-odds: what never uncovers is rather the person than the background
_GUIDE_RADIUS = 1 / 100
_GUIDE_EPS = 1e-4 * 255**2


class Background(NamedTuple):
    """What is known of the scene behind the person, in crop pixels."""

    colour: U8  # [S, S, 3]
    is_known: NDArray[np.bool_]  # [S, S] seen at least a few times
    noise: float
    """Standard deviation of a background pixel over time, levels."""


@contextmanager
def segmenter() -> Iterator[Callable[[U8], F32]]:
    """Open the network; the function maps RGB [S, S, 3] to the person's probability [S, S]."""
    with quiet_stderr():
        network = mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=_GENERAL)
        network.process(np.zeros((64, 64, 3), np.uint8))

    def segment(frame: U8) -> F32:
        return np.asarray(network.process(frame).segmentation_mask, dtype=np.float32)

    try:
        yield segment
    finally:
        network.close()


def refine_matte(frame: U8, probability: F32, background: Background | None) -> U8:
    """Sharpen a coarse mask.

    Args:
        frame: RGB. [S, S, 3]
        probability: The person's, 0 to 1. [S, S]
        background: What is known of the scene; None when it moves.

    Returns:
        Matte, 255 = person. [S, S]
    """
    clipped = np.clip(probability, 0.004, 0.996)
    log_odds = np.log(clipped / (1 - clipped))
    if background is not None:
        log_odds += _background_evidence(frame, background) * _edge_band(probability)
    sharp = (1 / (1 + np.exp(-log_odds))).astype(np.float32)
    radius = max(round(frame.shape[0] * _GUIDE_RADIUS), 2)
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    soft = cv2.ximgproc.guidedFilter(gray, sharp, radius, _GUIDE_EPS)
    return np.asarray(np.clip(np.rint(_stretch(soft) * 255), 0, 255), dtype=np.uint8)


def _background_evidence(frame: U8, background: Background) -> F32:
    """Log-odds that a pixel is the person's, from its difference to the background. [S, S]"""
    red, green, blue = cv2.split(cv2.absdiff(frame, background.colour))
    difference = cv2.blur(cv2.max(cv2.max(red, green), blue).astype(np.float32), (3, 3))
    scaled = (difference / (4.0 * background.noise) - 1.0) * _EVIDENCE_AGAINST
    evidence = np.clip(scaled, -_EVIDENCE_AGAINST, _EVIDENCE_FOR)
    return np.asarray(np.where(background.is_known, evidence, _NEVER_SEEN), dtype=np.float32)


def _edge_band(probability: F32) -> F32:
    """1 near the mask's edge and where the mask is undecided, falling to 0 away from it. [S, S]"""
    reach = max(round(probability.shape[0] * _BAND), 3)
    person = (probability > 0.5).astype(np.float32)  # noqa: PLR2004  # the even odds
    near = cv2.blur(person, (2 * reach + 1, 2 * reach + 1))
    edge = np.clip(4.0 * np.minimum(near, 1 - near) / 0.5, 0.0, 1.0)
    undecided = 4.0 * probability * (1 - probability)
    return np.asarray(np.maximum(edge, undecided), dtype=np.float32)


def _stretch(matte: F32) -> F32:
    """Undo the guided filter's compression of near-certain values."""
    return np.clip((matte - 0.05) / 0.9, 0.0, 1.0)
