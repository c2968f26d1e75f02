"""How alike two moments of speech sound: an additive kernel on windows of spectra.

Ten seconds of speech hold few examples of any sound, and no two windows of a fifth of a second
are alike. So windows are compared lag by lag and view by view (loudness of the mel bands, its
slope and bend in time, resonances and sections of the vocal tract), and the likenesses are
added: a moment may resemble one example in its onset and another in its end (additive Gaussian
processes: Duvenaud et al., NeurIPS 2011). Scales and shares were chosen by blocked
cross-validation on the training frames of two captures.
"""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from shared.audio_stream import ChunkableEncoder, Levels
from shared.plugins import load_plugin
from shared.speech_spectrum import (
    N_MEL,
    N_RESONANCE,
    N_SECTIONS,
    REACH_SAMPLES,
    ROWS_PER_SECOND,
    SAMPLE_RATE,
)

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

AUDIO_ENCODERS = ("mel", "vocal_tract")

LAGS_S = (0.015, 0.055, 0.095, 0.135, 0.175)
"""Where a window is compared, in seconds after the frame: lips move before they are heard."""
LAG_WEIGHTS = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)

_STEP_S = 0.02
_REACH = 2
"""Rows on either side of a lag that belong to it."""
_ROW_WEIGHTS = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1)) ** 2)
_N_ROWS = round((LAGS_S[-1] - LAGS_S[0]) / _STEP_S) + 1 + 2 * _REACH
"""Rows of a window, 20 ms apart."""
WINDOW_START_S = LAGS_S[0] - _STEP_S * _REACH
WINDOW_END_S = WINDOW_START_S + _STEP_S * (_N_ROWS - 1)
"""Of a window, after its frame."""
_LEVEL_BLUR_ROWS = 1.5
"""The mouth does not follow single glottal pulses."""
_SLOPE_BLUR_ROWS = 1.8
_BLUR_REACH = 4.0
"""Deviations at which a blur ends."""
_SLOPE_SPAN_ROWS = 3
_BEND_SPAN_ROWS = 4
"""Slopes and bends are differences over twice this."""
_BEND_DEVIATION = 0.8
"""Of bends in speech."""
_LINEAR = 0.03
"""Weight of a linear kernel beside: far from all examples, louder still means wider."""


_REACH_SAMPLES = REACH_SAMPLES + (
    (round(_BLUR_REACH * _SLOPE_BLUR_ROWS) + _BEND_SPAN_ROWS) * SAMPLE_RATE // ROWS_PER_SECOND
)
"""Of a row with its slopes and bends."""


class View(NamedTuple):
    """One way to look at a sound."""

    channels: slice
    share: float
    """Of the kernel's variance."""
    scale: float
    """Root mean square difference over the channels at which likeness is exp(-1/2)."""


_VIEWS = (
    View(slice(0, N_MEL), 0.26, 0.60),  # levels
    View(slice(N_MEL, 2 * N_MEL), 0.19, 0.85),  # slopes
    View(slice(2 * N_MEL, 3 * N_MEL), 0.11, 0.70),  # bends
    View(slice(3 * N_MEL, 3 * N_MEL + N_RESONANCE), 0.18, 0.60),
    View(slice(3 * N_MEL + N_RESONANCE, None), 0.26, 0.85),  # sections of the vocal tract
)


def describe_sound(audio: F32, levels: Levels | None = None) -> F32:
    """Mel levels, their slopes and bends, vocal tract: ten milliseconds a row. [rows, C]

    Args:
        audio: 16 kHz mono. [samples]
        levels: Of ``measure_sound``, should this be a part of a recording; its own if absent.
    """
    mel, tract = (_heard(name, audio, levels) for name in AUDIO_ENCODERS)
    calm = _blurred(mel, _SLOPE_BLUR_ROWS)
    before, _, after = _neighbours(calm, _SLOPE_SPAN_ROWS)
    slopes = after - before
    before, middle, after = _neighbours(calm, _BEND_SPAN_ROWS)
    bends = (before - 2 * middle + after) / _BEND_DEVIATION
    rows = [_blurred(mel, _LEVEL_BLUR_ROWS), slopes, bends, _blurred(tract, _LEVEL_BLUR_ROWS)]
    return np.concatenate(rows, axis=1)


def measure_sound(audio: F32) -> Levels:
    """Levels of both encoders, with their names before them."""
    return {
        f"{name}.{key}": value
        for name in AUDIO_ENCODERS
        for key, value in _encoder(name).measure_levels(audio).items()
    }


class SoundEncoder:
    """``describe_sound`` for ``shared.audio_stream``."""

    SAMPLE_RATE: int = SAMPLE_RATE
    ROWS_PER_SECOND: float = ROWS_PER_SECOND
    N_CHANNELS: int = 3 * N_MEL + N_RESONANCE + N_SECTIONS
    REACH_SAMPLES: int = _REACH_SAMPLES

    @staticmethod
    def measure_levels(audio: F32) -> Levels:
        """Levels of a recording."""
        return measure_sound(audio)

    @staticmethod
    def encode_at_levels(audio: F32, levels: Levels) -> F32:
        """Rows of a part of it. [rows, C]"""
        return describe_sound(audio, levels)


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
    for lag_s, weight in zip(LAGS_S, LAG_WEIGHTS, strict=True):
        first = round((lag_s - LAGS_S[0]) / _STEP_S)
        rows = slice(first, first + 2 * _REACH + 1)
        for view in _VIEWS:
            alike = _alike(a[:, rows, view.channels], b[:, rows, view.channels], view.scale)
            total += weight * view.share * alike
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
    blurred = gaussian_filter1d(rows, sigma_rows, axis=0, mode="nearest", truncate=_BLUR_REACH)
    return np.asarray(blurred, np.float32)


def _neighbours(rows: F32, span: int) -> tuple[F32, F32, F32]:
    """Rows ``span`` before, the rows themselves, and ``span`` after; ends repeat."""
    padded = np.pad(rows, ((span, span), (0, 0)), mode="edge")
    return padded[: -2 * span], rows, padded[2 * span :]


def _heard(name: str, audio: F32, levels: Levels | None) -> F32:
    """Rows of one encoder, at its part of the levels. [rows, C]"""
    encoder, start = _encoder(name), f"{name}."
    if levels is None:
        return encoder.encode(audio)
    own = {key.removeprefix(start): at for key, at in levels.items() if key.startswith(start)}
    return encoder.encode_at_levels(audio, own)


def _encoder(name: str) -> ChunkableEncoder:
    return cast(ChunkableEncoder, load_plugin("shared.audio_encoders", name))
