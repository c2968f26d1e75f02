"""Mel cepstra as the library python_speech_features computes them, which old speech nets hear.

Defaults of its ``mfcc``: windows of 25 ms every 10 ms without taper, 26 triangles from 0 to 8 kHz,
cosine transform, lifter 22, energy in place of the first cepstrum.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

Floats = NDArray[np.float64]

SAMPLE_RATE = 16_000
_WINDOW, _HOP, _N_FFT = 400, 160, 512
_N_FILTERS = 26
_PRE_EMPHASIS = 0.97
_LIFTER = 22


def cepstra(samples: Floats, n_cepstra: int) -> Floats:
    """Rows of cepstra at 100 a second.

    Args:
        samples: 16 kHz mono in 16-bit units, -32768 to 32767. [samples]
        n_cepstra: At most 26.

    Returns:
        [1 + ceil((samples - 400) / 160), n_cepstra], at least one row.
    """
    emphasised = np.append(samples[:1], samples[1:] - _PRE_EMPHASIS * samples[:-1])
    n_rows = 1 + max(0, -(-(len(samples) - _WINDOW) // _HOP))
    padded = np.pad(emphasised, (0, max(0, (n_rows - 1) * _HOP + _WINDOW - len(emphasised))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:n_rows]
    power = np.abs(np.fft.rfft(windows, _N_FFT)) ** 2 / _N_FFT  # [rows, 257]
    least = np.finfo(np.float64).eps
    energy, bands = power.sum(axis=1), power @ _filters().T
    bands = np.log(np.where(bands == 0, least, bands))
    found = dct(bands, type=2, axis=1, norm="ortho")[:, :n_cepstra]
    found *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(n_cepstra) / _LIFTER)
    found[:, 0] = np.log(np.where(energy == 0, least, energy))
    return np.asarray(found)


def _filters() -> Floats:
    """Triangles between whole bins. [26, 257]"""
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hz = 700 * (10 ** (np.linspace(0, highest, _N_FILTERS + 2) / 2595) - 1)
    edges = np.floor((_N_FFT + 1) * hz / SAMPLE_RATE)
    bins = np.arange(_N_FFT // 2 + 1)
    low, peak, high = (edges[at : at + _N_FILTERS, None] for at in range(3))
    rising = np.where((bins >= low) & (bins < peak), (bins - low) / np.maximum(peak - low, 1), 0)
    falling = np.where(
        (bins >= peak) & (bins < high), (high - bins) / np.maximum(high - peak, 1), 0
    )
    return np.asarray(rising + falling)
