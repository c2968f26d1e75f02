"""How alike two moments of speech sound: an additive kernel on windows of spectra.

Ten seconds of speech hold few examples of any sound, and no two windows of a fifth of a second
are alike. So windows are compared lag by lag and view by view (loudness of the mel bands, its
slope in time, resonances of the vocal tract), and the likenesses are added: a moment may
resemble one example in its onset and another in its end (additive Gaussian processes: Duvenaud
et al., NeurIPS 2011). Scales and shares were chosen by blocked cross-validation on the training
frames of two captures.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin
from shared.speech_spectrum import N_MEL, ROWS_PER_SECOND

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

AUDIO_ENCODERS = ("mel", "vocal_tract")

LAGS_S = (0.015, 0.055, 0.095, 0.135, 0.175)
"""Where a window is compared, in seconds after the frame: lips move before they are heard."""

_STEP_S = 0.02
_REACH = 2
"""Rows on either side of a lag that belong to it."""
_ROW_WEIGHTS = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1)) ** 2)
_N_ROWS = round((LAGS_S[-1] - LAGS_S[0]) / _STEP_S) + 1 + 2 * _REACH
"""Rows of a window, 20 ms apart."""
_LEVEL_BLUR_ROWS = 1.5
"""The mouth does not follow single glottal pulses."""
_SLOPE_BLUR_ROWS = 1.8
_SLOPE_SPAN_ROWS = 3
"""Slopes are differences over twice this."""
_LINEAR = 0.03
"""Weight of a linear kernel beside: far from all examples, louder still means wider."""


class View(NamedTuple):
    """One way to look at a sound."""

    channels: slice
    share: float
    """Of the kernel's variance."""
    scale: float
    """Root mean square difference over the channels at which likeness is exp(-1/2)."""


_LEVELS = View(slice(0, N_MEL), 0.40, 0.70)
_SLOPES = View(slice(N_MEL, 2 * N_MEL), 0.25, 0.80)
_RESONANCES = View(slice(2 * N_MEL, None), 0.35, 0.55)


def describe_sound(audio: F32) -> F32:
    """Mel levels, their slopes, and resonances, ten milliseconds a row. [samples] -> [rows, C]"""
    levels, resonances = (_encoder(name).encode(audio) for name in AUDIO_ENCODERS)
    span = _SLOPE_SPAN_ROWS
    padded = np.pad(_blurred(levels, _SLOPE_BLUR_ROWS), ((span, span), (0, 0)), mode="edge")
    slopes = padded[2 * span :] - padded[: -2 * span]
    return np.concatenate(
        [_blurred(levels, _LEVEL_BLUR_ROWS), slopes, _blurred(resonances, _LEVEL_BLUR_ROWS)],
        axis=1,
    )


def sound_windows(rows: F32, times_s: Floats) -> F32:
    """What is heard around each time, interpolated between rows.

    Args:
        rows: Of ``describe_sound``. [rows, C]
        times_s: Seconds on the sound's clock. [N]

    Returns:
        A window for each time. [N, L, C]
    """
    offsets = LAGS_S[0] + _STEP_S * (np.arange(_N_ROWS) - _REACH)
    places = np.clip((times_s[:, None] + offsets) * ROWS_PER_SECOND, 0, len(rows) - 1)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[..., None].astype(np.float32)
    return np.asarray(rows[below] * (1 - share) + rows[above] * share, dtype=np.float32)


def likeness(a: F32, b: F32) -> Floats:
    """Kernel between windows, about one for equal ones. [M, L, C], [N, L, C] -> [M, N]"""
    total = np.zeros((len(a), len(b)))
    for lag_s in LAGS_S:
        first = round((lag_s - LAGS_S[0]) / _STEP_S)
        rows = slice(first, first + 2 * _REACH + 1)
        for view in (_LEVELS, _SLOPES, _RESONANCES):
            alike = _alike(a[:, rows, view.channels], b[:, rows, view.channels], view.scale)
            total += view.share / len(LAGS_S) * alike
    return total


def _alike(a: F32, b: F32, scale: float) -> Floats:
    """One lag and view. [M, R, C], [N, R, C] -> [M, N]"""
    weights = np.sqrt(_ROW_WEIGHTS / _ROW_WEIGHTS.sum() / a.shape[2])[:, None]
    left = (a * weights).reshape(len(a), -1).astype(np.float64)
    right = (b * weights).reshape(len(b), -1).astype(np.float64)
    linear = left @ right.T
    norms = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    distances = np.maximum(norms - 2 * linear, 0.0)
    return np.asarray(np.exp(-0.5 * distances / scale**2) + _LINEAR * linear)


def _blurred(rows: F32, sigma_rows: float) -> F32:
    return np.asarray(gaussian_filter1d(rows, sigma_rows, axis=0, mode="nearest"), np.float32)


def _encoder(name: str) -> AudioEncoder:
    return cast(AudioEncoder, load_plugin("shared.audio_encoders", name))
