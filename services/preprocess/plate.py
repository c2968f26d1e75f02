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

MIN_SAMPLES = 3
MAX_SAMPLES = 200
"""Pictures looked at; more do not lower the noise of an eight-bit plate."""
_CLEARANCES = (1 / 40, 1 / 80, 1 / 200)  # distance kept from the person, in picture sides
_CLEAR_MATTE = 8  # of 255
_INLIER_LEVELS = 8
_NO_NOISE, _LEAST_NOISE = 0.2, 0.5  # levels
_HAIR_MEDIAN = 7  # pixels; wider than two hairs
_ROWS = 32  # rows worked on at a time, which bounds the memory


class Plate(NamedTuple):
    """A background picture and how it was come by."""

    colour: U8  # [H, W, 3]
    is_seen: NDArray[np.bool_]  # [H, W] uncovered at least MIN_SAMPLES times
    noise: float
    """Typical standard deviation of a background pixel over time, levels; at least 0.5."""
    agreement: float
    """Share of the samples used that are near the plate; 1 for a still camera and scene."""


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
    level = np.zeros((height, width), dtype=np.uint8)
    n_used = n_near = 0
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        levels = np.stack([clear_frame[rows] for clear_frame in clear])  # [K, h, W]
        level[rows] = _best_level(levels)
        is_seen = level[rows] > 0
        samples = np.stack([frame[rows][is_seen] for frame in frames])  # [K, P, 3]
        is_used = levels[:, is_seen] >= level[rows][is_seen]  # [K, P]
        estimate = _estimate(samples, is_used)
        colour[rows][is_seen], spread[rows][is_seen] = estimate.colour, estimate.deviation
        n_used += int(is_used.sum())
        n_near += estimate.n_near
    is_seen = level > 0
    agreement = n_near / max(n_used, 1)
    return Plate(_completed(colour, level), is_seen, _typical_noise(spread, is_seen), agreement)


def _completed(colour: F32, level: U8) -> U8:
    """Fill what was never seen. [H, W, 3]

    Single hairs spoil some of the pixels that are seen only close to the person: nothing is
    filled from those, and a median over their surroundings takes hairs out of them.
    """
    filled = fill_unknown(colour, level > 1)
    is_close = level == 1
    filled[is_close] = colour[is_close]
    rounded = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    if is_close.any():
        rounded[is_close] = cv2.medianBlur(rounded, _HAIR_MEDIAN)[is_close]
    return rounded


def fill_unknown(colour: F32, is_known: NDArray[np.bool_]) -> F32:
    """Fill unknown pixels smoothly from the known ones around (push-pull pyramid). [H, W, 3]"""
    weight = is_known.astype(np.float32)
    if not weight.any():
        return np.full_like(colour, 127.0)
    if weight.all():
        return colour.copy()
    small_size = (max((colour.shape[1] + 1) // 2, 1), max((colour.shape[0] + 1) // 2, 1))
    small_weight = cv2.resize(weight, small_size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(colour * weight[..., None], small_size, interpolation=cv2.INTER_AREA)
    small = small.reshape(*small_weight.shape, 3) / np.maximum(small_weight, 1e-6)[..., None]
    coarse = fill_unknown(small.astype(np.float32), small_weight > 0)
    size = (colour.shape[1], colour.shape[0])
    filled = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR).reshape(colour.shape)
    return np.asarray(np.where(is_known[..., None], colour, filled), dtype=np.float32)


def _typical_noise(spread: F32, is_seen: NDArray[np.bool_]) -> float:
    """Median over seen pixels; the bars of a letterbox, which have none, do not count."""
    noisy = spread[is_seen & (spread > _NO_NOISE)]
    return max(float(np.median(noisy)), _LEAST_NOISE) if noisy.size else _LEAST_NOISE


def _best_level(levels: U8) -> U8:
    """Highest clearance that each pixel has in enough samples, 0 if none. [K, h, W] -> [h, W]"""
    best = np.zeros(levels.shape[1:], dtype=np.uint8)
    for least in range(1, len(_CLEARANCES) + 1):
        best[(levels >= least).sum(axis=0) >= MIN_SAMPLES] = least
    return best


class _Estimate(NamedTuple):
    colour: F32  # [P, 3]
    deviation: F32  # [P]
    n_near: int
    """Used samples near the median."""


def _estimate(samples: U8, is_used: NDArray[np.bool_]) -> _Estimate:
    """Combine the used ones of K samples.

    Args:
        samples: RGB. [K, P, 3]
        is_used: At least one per pixel. [K, P]
    """
    # Unused samples sort to the end, so the median is at half the count of the used ones.
    ordered = np.sort(np.where(is_used[..., None], samples, np.uint8(255)), axis=0)
    half = (is_used.sum(axis=0) - 1) // 2  # [P]
    median = np.take_along_axis(ordered, half[None, :, None], axis=0)  # [1, P, 3]
    distance = np.maximum(samples, median) - np.minimum(samples, median)
    is_inlier = is_used & (distance.max(axis=-1) <= _INLIER_LEVELS)
    count = is_inlier.sum(axis=0).astype(np.float32)[:, None]  # [P, 1]
    kept = np.where(is_inlier[..., None], samples, np.uint8(0))
    total = kept.sum(axis=0, dtype=np.float32)
    mean = np.where(count > 0, total / np.maximum(count, 1), median[0])
    squares = (kept.astype(np.uint16) ** 2).sum(axis=0, dtype=np.float32)
    variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0) * (count > 0)
    deviation = np.sqrt(variance.mean(axis=-1))
    return _Estimate(mean.astype(np.float32), deviation.astype(np.float32), int(is_inlier.sum()))
