"""Log mel bands, normalised per band over the recording's speech. No weights, NumPy only.

25 ms Hann windows every 10 ms, 40 triangular bands from 50 to 7,600 Hz on O'Shaughnessy's mel
scale. Normalising over speech alone keeps the scale when a recording is mostly pause, and takes
away loudness, microphone and the voice's mean spectrum, so that one person's model can listen
to another.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

SAMPLE_RATE = 16_000
ROWS_PER_SECOND = 100
N_CHANNELS = 40

_HOP = SAMPLE_RATE // ROWS_PER_SECOND
_WINDOW = 400
_N_FFT = 512
_LOW_HZ, _HIGH_HZ = 50.0, 7_600.0
_PRE_EMPHASIS = 0.97
_DYNAMIC_RANGE = 14.0
"""Natural log units (61 dB) below the loudest rows; what is quieter counts as that quiet."""
_SPEECH_RANGE = 6.9
"""Rows within 30 dB of the loud ones are speech."""
_QUIETEST = 1e-8
"""Energy of a row at about -80 dBFS: dither and digital silence are alike."""
_BLOCK = 8192
"""Rows transformed at once, so that an hour of sound needs little memory."""
_LIMIT = 3.5
"""Normalised values are kept within this many deviations."""


def encode(audio: F32) -> F32:
    """Normalised log mel bands. [samples] -> [rows, 40]"""
    bands, energy = log_mel(audio)
    loud = np.percentile(energy, 99)
    bands = np.maximum(bands, loud - _DYNAMIC_RANGE)
    is_speech = energy >= np.percentile(energy, 95) - _SPEECH_RANGE
    mean = bands[is_speech].mean(axis=0)
    deviation = bands[is_speech].std(axis=0)
    # A band that never changes says nothing; half a log unit is less than any speech varies.
    scaled = (bands - mean) / np.maximum(deviation, 0.5)
    return np.asarray(np.clip(scaled, -_LIMIT, _LIMIT), dtype=np.float32)


def log_mel(audio: F32) -> tuple[Floats, Floats]:
    """Natural log of mel band energies and of whole rows, before normalisation.

    Args:
        audio: Mono, -1 to 1. [samples]

    Returns:
        Bands [rows, 40] and energy [rows]; row i is centred on sample 160 i.
    """
    emphasised = np.append(audio[:1], audio[1:] - _PRE_EMPHASIS * audio[:-1])
    n_rows = max(1, -(-len(audio) // _HOP))
    padded = np.pad(emphasised, (_WINDOW // 2, _WINDOW + _HOP))
    windows = sliding_window_view(padded, _WINDOW)[::_HOP][:n_rows]  # [rows, 400]
    taper, filters = np.hanning(_WINDOW), _mel_filters()
    bands, energy = np.empty((n_rows, N_CHANNELS)), np.empty(n_rows)
    for start in range(0, n_rows, _BLOCK):
        block = slice(start, start + _BLOCK)
        power = np.abs(np.fft.rfft(windows[block] * taper, _N_FFT)) ** 2  # [rows, 257]
        bands[block], energy[block] = power @ filters, power.sum(axis=1)
    return np.log(bands + _QUIETEST), np.log(energy + _QUIETEST)


@cache
def _mel_filters() -> Floats:
    """Triangles of unit sum over the spectrum's bins. [257, 40]"""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, N_CHANNELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(filters / filters.sum(axis=0))
