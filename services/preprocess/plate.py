"""The background plate: what the camera sees without the person, from what they uncover.

Per pixel: the median over the training frames in which the pixel is clear of the person, then
the mean of the samples close to that median, which is at the noise level. Pixels close to hair
are taken as clear only if there is no better sample. What is never uncovered is filled in smoothly
from its surroundings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MIN_SAMPLES = 5
_CLEARANCES = (1 / 40, 1 / 80, 1 / 200)  # distance kept from the person, in picture sides
_CLEAR_MATTE = 8  # of 255
_INLIER_LEVELS = 8.0
_ROWS = 32  # rows worked on at a time, which bounds the memory


class Plate(NamedTuple):
    """A background picture and how it was come by."""

    colour: F32  # [H, W, 3] 0..255
    is_seen: NDArray[np.bool_]  # [H, W] uncovered at least MIN_SAMPLES times
    noise: float
    """Median over seen pixels of their standard deviation over time, levels."""


def clearance(matte: U8) -> U8:
    """How clear of the person each pixel is: 0 covered, 3 well clear. [H, W]"""
    level = np.zeros(matte.shape, dtype=np.uint8)
    person = (matte > _CLEAR_MATTE).astype(np.uint8)
    distance = cv2.distanceTransform(1 - person, cv2.DIST_L2, 3)
    for share in _CLEARANCES:
        level += (distance > share * matte.shape[0]).astype(np.uint8)
    return level


def build_plate(frames: Sequence[U8], clear: Sequence[U8]) -> Plate:
    """Estimate the background.

    Args:
        frames: RGB pictures of a standing camera. K x [H, W, 3]
        clear: Their ``clearance``. K x [H, W]
    """
    height, width = clear[0].shape
    colour = np.zeros((height, width, 3), dtype=np.float32)
    spread = np.zeros((height, width), dtype=np.float32)
    is_seen = np.zeros((height, width), dtype=np.bool_)
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        samples = np.stack([frame[rows] for frame in frames])
        levels = np.stack([level[rows] for level in clear])
        colour[rows], spread[rows], is_seen[rows] = _estimate_rows(samples, levels)
    noise = float(np.median(spread[is_seen])) if is_seen.any() else 0.0
    return Plate(fill_unseen(colour, is_seen), is_seen, max(noise, 0.5))


def fill_unseen(colour: F32, is_known: NDArray[np.bool_]) -> F32:
    """Fill unknown pixels smoothly from the known ones around (push-pull pyramid). [H, W, 3]"""
    weight = is_known.astype(np.float32)
    if not weight.any():
        return np.full_like(colour, 127.0)
    if weight.all():
        return colour
    small_size = (max((colour.shape[1] + 1) // 2, 1), max((colour.shape[0] + 1) // 2, 1))
    small_weight = cv2.resize(weight, small_size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(colour * weight[..., None], small_size, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(small_weight, 1e-6)[..., None]
    coarse = fill_unseen(small.astype(np.float32), small_weight > 0)
    size = (colour.shape[1], colour.shape[0])
    filled = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.where(is_known[..., None], colour, filled), dtype=np.float32)


def _estimate_rows(samples: U8, levels: U8) -> tuple[F32, F32, NDArray[np.bool_]]:
    """Colour [h, W, 3], spread [h, W] and whether seen [h, W] from K samples [K, h, W, 3].

    Each pixel uses its best level of clearance that has enough samples.
    """
    is_used = np.zeros(levels.shape, dtype=np.bool_)  # [K, h, W]
    is_seen = np.zeros(levels.shape[1:], dtype=np.bool_)
    for least in range(len(_CLEARANCES), 0, -1):
        is_clear = levels >= least
        is_new = ~is_seen & (is_clear.sum(axis=0) >= MIN_SAMPLES)
        is_used |= is_clear & is_new
        is_seen |= is_new
    values = np.where(is_used[..., None], samples, np.nan).astype(np.float32)
    values[:, ~is_seen] = 0.0
    middle = np.nanmedian(values, axis=0)  # [h, W, 3]
    is_inlier = is_used & (np.abs(values - middle) <= _INLIER_LEVELS).all(axis=-1)
    count = np.maximum(is_inlier.sum(axis=0), 1)[..., None]  # [h, W, 1]
    kept = np.where(is_inlier[..., None], values, 0.0)
    mean = kept.sum(axis=0) / count
    mean = np.where(is_inlier.any(axis=0)[..., None], mean, middle)
    variance = np.where(is_inlier[..., None], (values - mean) ** 2, 0.0).sum(axis=0) / count
    return mean.astype(np.float32), np.sqrt(variance.mean(axis=-1)).astype(np.float32), is_seen
