"""Blinks as the subject blinks: shape and rate from the capture, times by chance."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

F32 = NDArray[np.float32]

_SIDE_S = 0.24
"""A blink lasts up to twice this: closing 0.1 s, opening 0.2 s."""
_MIN_CLOSURE = 0.45
"""Of a coefficient's unit, the eye fully closed; less is a flutter or tracking noise."""
_HIGH = 0.65
"""Share of the highest blink that all others reach."""
_APART_S = 0.2
_SHORTEST_INTERVAL_S = 0.8
_RATE_PER_S = (8 / 60, 30 / 60)
"""Range of resting people's blink rates; ten seconds are too short to believe others."""


class BlinkStyle(NamedTuple):
    """How one subject blinks."""

    shape: F32
    """Mean rise of the closure around its peak at the middle row; no rows without blinks. [R]"""
    rate_per_s: float


def blink_channels(expression_names: list[str]) -> list[int]:
    """Places of the coefficients that close the eyelids."""
    return [i for i, name in enumerate(expression_names) if name.startswith("eyeBlink")]


def learn_blinks(closure: F32, fps: int) -> BlinkStyle:
    """Find the blinks in the mean eyelid closure of the training frames. [T]

    A subject who never blinked gets no blinks: closed eyes were never seen.
    """
    side = round(_SIDE_S * fps)
    peaks, _ = find_peaks(
        closure, prominence=_blink_height(closure), distance=max(1, round(_APART_S * fps))
    )
    inside = [int(peak) for peak in peaks if side <= peak < len(closure) - side]
    if not inside:
        return BlinkStyle(np.zeros(0, np.float32), 0.0)
    around = np.stack([closure[peak - side : peak + side + 1] for peak in inside])
    # Each blink rises from its own sides; a slow change of the lids is no part of it.
    rise = around - np.linspace(around[:, 0], around[:, -1], 2 * side + 1, axis=1)
    shape = np.clip(rise.mean(axis=0), 0, None) * np.hanning(2 * side + 3)[1:-1] ** 0.25
    # Frames fall beside the moment of closure, and their mean would never close the eye.
    full = float(np.median(closure[inside])) - open_eyes(closure)
    shape *= full / max(float(shape.max()), 1e-6)
    rate = float(np.clip(len(peaks) * fps / len(closure), *_RATE_PER_S))
    return BlinkStyle(shape.astype(np.float32), rate)


def make_blinks(
    style: BlinkStyle, fps: int, n_frames: int, *, source_fps: int, generator: np.random.Generator
) -> F32:
    """Eyelid closure above the open eye, at random times with pauses between. [n_frames]"""
    closure = np.zeros(n_frames)
    if not len(style.shape):
        return closure.astype(np.float32)
    side_s = len(style.shape) / 2 / source_fps
    places = (np.arange(len(style.shape)) - len(style.shape) // 2) / source_fps
    times = np.arange(n_frames) / fps
    mean_wait = max(1 / style.rate_per_s - _SHORTEST_INTERVAL_S, 0.1)
    peak = float(generator.uniform(0.3, 1.0)) / style.rate_per_s
    while peak < n_frames / fps + side_s:
        one = np.interp(times - peak, places, style.shape, left=0.0, right=0.0)
        closure = np.maximum(closure, one)
        peak += _SHORTEST_INTERVAL_S + float(generator.gamma(2.0, mean_wait / 2.0))
    return closure.astype(np.float32)


def open_eyes(closure: F32) -> float:
    """Typical closure between blinks. [T]"""
    return float(np.median(closure))


def _blink_height(closure: F32) -> float:
    """A blink rises nearly as high as the highest one; a squint or a look down does not."""
    highest = float(np.max(closure, initial=0.0)) - open_eyes(closure)
    return max(_MIN_CLOSURE, _HIGH * highest)
