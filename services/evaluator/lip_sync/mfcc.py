"""MFCC as SyncNet was trained with: the defaults of ``python_speech_features.mfcc``.

25 ms windows every 10 ms without a window function, pre-emphasis 0.97, 26 triangular filters on an
FFT of 512, 13 cepstra with lifter 22, the first replaced by the log of the window's energy.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from shared.media.audio import SAMPLE_RATE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

N_CEPSTRA = 13
PER_SECOND = 100
_LENGTH, _STEP = SAMPLE_RATE // 40, SAMPLE_RATE // PER_SECOND
_FFT = 512
_FILTERS = 26
_PRE_EMPHASIS = 0.97
_LIFTER = 22
_TINY = float(np.finfo(float).eps)
_INT16 = 32768


def sync_mfcc(audio: F32) -> F32:
    """Cepstra of 16 kHz mono sound in [-1, 1], which is taken as 16-bit integers. [n] -> [13, N]"""
    samples = np.clip(np.round(audio.astype(np.float64) * _INT16), -_INT16, _INT16 - 1)
    emphasised = np.concatenate([samples[:1], samples[1:] - _PRE_EMPHASIS * samples[:-1]])
    power = np.abs(np.fft.rfft(_windows(emphasised), _FFT)) ** 2 / _FFT  # [N, 257]
    energy = _nonzero(power.sum(axis=1))
    cepstra = dct(np.log(_nonzero(power @ mel_filters().T)), type=2, axis=1, norm="ortho")
    n = np.arange(N_CEPSTRA)
    lifted = cepstra[:, :N_CEPSTRA] * (1 + _LIFTER / 2 * np.sin(np.pi * n / _LIFTER))
    lifted[:, 0] = np.log(energy)
    return np.asarray(lifted.T, dtype=np.float32)


def mel_filters() -> F64:
    """Triangles between whole bins, evenly spaced in mel from 0 to 8 kHz. [26, 257]"""
    highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, highest, _FILTERS + 2) / 2595) - 1)
    edges = np.floor((_FFT + 1) * hertz / SAMPLE_RATE)
    bins = np.arange(_FFT // 2 + 1)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / np.maximum(mid - low, 1)
    falling = (high - bins) / np.maximum(high - mid, 1)
    filters = np.where((bins >= low) & (bins < mid), rising, 0.0)
    return np.asarray(np.where((bins >= mid) & (bins < high), falling, filters))


def _windows(samples: F64) -> F64:
    """Windows with zeros behind the end. [n] -> [N, 400]"""
    n_windows = 1 + max(0, -(-(samples.size - _LENGTH) // _STEP))
    padded = np.zeros((n_windows - 1) * _STEP + _LENGTH)
    padded[: samples.size] = samples
    return np.lib.stride_tricks.sliding_window_view(padded, _LENGTH)[::_STEP]


def _nonzero(values: F64) -> F64:
    return np.where(values == 0, _TINY, values)
