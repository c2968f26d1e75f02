"""Spectra of speech, a row every 10 ms: mel bands, and the shape of the vocal tract.

Row i is centred on sample 160 i of a 16 kHz recording. NumPy and SciPy only, no weights.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import resample_poly

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Levels = dict[str, Floats]
"""What a recording is compared with: mean and deviation of each channel over its speech, and more
by the encoder."""

SAMPLE_RATE = 16_000
ROWS_PER_SECOND = 100
N_MEL = 40
N_RESONANCE = 30
N_SECTIONS = 10
"""Of the tube; two poles for each resonance below 4 kHz."""
LOOK_AHEAD_S = 0.014
"""Half a window, and the filter before it."""
REACH_SAMPLES = 320
"""More than half a window and the filter before it, whole rows."""

_WINDOW_S = 0.025
_LOW_HZ, _HIGH_HZ = 50.0, 7_600.0
_N_FFT = 512
_PRE_EMPHASIS = 0.97
_QUIETEST = 1e-8
"""Energy of a row at about -80 dBFS: dither and digital silence are alike."""
_SPEECH_RANGE = 6.9
"""Rows within 30 dB of the loud ones are speech."""
_LIMIT = 3.5
"""Normalised values are kept within this many deviations."""
_MIN_DEVIATION = 0.3
"""Of a channel over speech; one that never changes says nothing, and is not blown up."""
_BLOCK = 8192
"""Rows transformed at once, so that an hour of sound needs little memory."""

_TRACT_RATE = 8_000
_TRACT_PRE_EMPHASIS = 0.9
_SILENCE = 1e-5
"""Share of the loud rows' energy that is no speech any more (-50 dB)."""
_ENVELOPE_HZ = np.linspace(150.0, 3_800.0, N_RESONANCE)


def log_mel(audio: F32) -> tuple[Floats, Floats]:
    """Natural log of mel band energies and of whole rows.

    25 ms Hann windows, triangles from 50 to 7,600 Hz on O'Shaughnessy's mel scale.

    Args:
        audio: Mono, -1 to 1. [samples]

    Returns:
        Bands [rows, 40] and energy [rows].
    """
    windows = _windows(_emphasised(audio, _PRE_EMPHASIS), SAMPLE_RATE)  # [rows, 400]
    taper, filters = np.hanning(windows.shape[1]), _mel_filters()
    bands, energy = np.empty((len(windows), N_MEL)), np.empty(len(windows))
    for start in range(0, len(windows), _BLOCK):
        block = slice(start, start + _BLOCK)
        power = np.abs(np.fft.rfft(windows[block] * taper, _N_FFT)) ** 2  # [rows, 257]
        bands[block], energy[block] = power @ filters, power.sum(axis=1)
    return np.log(bands + _QUIETEST), np.log(energy + _QUIETEST)


def vocal_tract(audio: F32, loud: float | None = None) -> tuple[Floats, Floats]:
    """The tube from glottis to lips, as an all-pole model hears it, without level and pitch.

    Linear prediction of tenth order below 4 kHz (Makhoul, Proceedings of the IEEE, 1975). The
    lowest resonance rises as the jaw opens; the reflections tell how the tube's sections widen.

    Args:
        audio: Mono, -1 to 1. [samples]
        loud: What ``tract_loudness`` says of the whole recording, should this be a part of it.

    Returns:
        Log spectral envelope of mean zero at 30 frequencies from 150 to 3,800 Hz [rows, 30],
        and log ratios of the areas of neighbouring sections [rows, 10].
    """
    windows = _tract_windows(audio)
    taper = np.hamming(windows.shape[1])
    turns = np.exp(
        -2j * np.pi * np.outer(np.arange(1, N_SECTIONS + 1), _ENVELOPE_HZ) / _TRACT_RATE
    )  # [sections, 30]
    loud = _loudness(windows) if loud is None else loud
    envelope = np.empty((len(windows), N_RESONANCE))
    ratios = np.empty((len(windows), N_SECTIONS))
    for start in range(0, len(windows), _BLOCK):
        block = slice(start, start + _BLOCK)
        power = np.abs(np.fft.rfft(windows[block] * taper, _N_FFT)) ** 2
        correlation = np.fft.irfft(power)[:, : N_SECTIONS + 1]
        # White noise far below the loud rows keeps silence solvable, and flat.
        correlation[:, 0] = correlation[:, 0] * 1.0001 + _SILENCE * loud + 1e-12
        predictor, reflections = _linear_prediction(correlation)
        envelope[block] = -2 * np.log(np.abs(1 - predictor @ turns) + 1e-3)
        ratios[block] = 2 * np.arctanh(np.clip(reflections, -0.999, 0.999))
    return envelope - envelope.mean(axis=1, keepdims=True), ratios


def tract_loudness(audio: F32) -> float:
    """Energy of the loud windows below 4 kHz, from which ``vocal_tract`` tells silence."""
    return _loudness(_tract_windows(audio))


def is_speech(energy: Floats) -> NDArray[np.bool_]:
    """Rows near the recording's loud ones; all rows of digital silence. [rows] -> [rows]"""
    return np.asarray(energy >= np.percentile(energy, 95) - _SPEECH_RANGE)


def levels_of(channels: Floats, is_spoken: NDArray[np.bool_]) -> Levels:
    """Mean and deviation of each channel over the spoken rows.

    Over speech alone, so that a recording's share of pauses does not change the scale.
    """
    deviation = np.maximum(channels[is_spoken].std(axis=0), _MIN_DEVIATION)
    return {"mean": channels[is_spoken].mean(axis=0), "deviation": deviation}


def at_levels(channels: Floats, levels: Levels) -> F32:
    """Mean zero and deviation one per channel, limited. [rows, C]

    It takes away microphone and voice, so that one person's model can listen to another.
    """
    scaled = (channels - levels["mean"]) / levels["deviation"]
    return np.asarray(np.clip(scaled, -_LIMIT, _LIMIT), np.float32)


def normalised(channels: Floats, is_spoken: NDArray[np.bool_]) -> F32:
    """Channels at their own levels. [rows, C]"""
    return at_levels(channels, levels_of(channels, is_spoken))


def _tract_windows(audio: F32) -> Floats:
    """Windows of the sound below 4 kHz. [rows, 200]"""
    halved = resample_poly(audio.astype(np.float64), 1, SAMPLE_RATE // _TRACT_RATE)
    windows = _windows(_emphasised(halved, _TRACT_PRE_EMPHASIS), _TRACT_RATE)
    return windows[: _n_rows(len(audio), SAMPLE_RATE)]


def _loudness(windows: Floats) -> float:
    return float(np.percentile(np.square(windows).sum(axis=1), 95))


def _emphasised(audio: NDArray[np.floating[Any]], share: float) -> Floats:
    """High frequencies raised: each sample less a share of the one before."""
    return np.append(audio[:1], audio[1:] - share * audio[:-1]).astype(np.float64)


def _n_rows(n_samples: int, rate: int) -> int:
    return max(1, -(-n_samples * ROWS_PER_SECOND // rate))


def _windows(samples: Floats, rate: int) -> Floats:
    """25 ms around each row, silence beyond the ends; a view. [rows, W]"""
    hop, width = rate // ROWS_PER_SECOND, round(_WINDOW_S * rate)
    padded = np.pad(samples, (width // 2, width + hop))
    return sliding_window_view(padded, width)[::hop][: _n_rows(len(samples), rate)]


def _linear_prediction(correlation: Floats) -> tuple[Floats, Floats]:
    """Levinson's and Durbin's recursion for many rows at once.

    Args:
        correlation: Autocorrelation at lags 0 to P. [rows, P + 1]

    Returns:
        Predictor and reflection coefficients. [rows, P] twice
    """
    error = correlation[:, 0]
    predictor = np.zeros((len(correlation), 0))
    reflections = np.empty((len(correlation), correlation.shape[1] - 1))
    for order in range(1, correlation.shape[1]):
        known = (predictor * correlation[:, 1:order][:, ::-1]).sum(axis=1)
        last = ((correlation[:, order] - known) / error)[:, None]
        predictor = np.hstack([predictor - last * predictor[:, ::-1], last])
        error = error * (1 - last[:, 0] ** 2)
        reflections[:, order - 1] = last[:, 0]
    return predictor, reflections


@cache
def _mel_filters() -> Floats:
    """Triangles of unit sum over the spectrum's bins. [257, 40]"""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, N_MEL + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(filters / filters.sum(axis=0))
