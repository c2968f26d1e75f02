"""Resonances and sections of the vocal tract, without pitch and level, normalised over speech."""

import numpy as np
from numpy.typing import NDArray

from shared import speech_spectrum
from shared.speech_spectrum import is_speech, log_mel, normalised, vocal_tract

F32 = NDArray[np.float32]

SAMPLE_RATE = speech_spectrum.SAMPLE_RATE
ROWS_PER_SECOND = speech_spectrum.ROWS_PER_SECOND
N_CHANNELS = speech_spectrum.N_RESONANCE + speech_spectrum.N_SECTIONS


def encode(audio: F32) -> F32:
    """Spectral envelope, low to high, then area ratios. [samples] -> [rows, 30 + 10]"""
    _, energy = log_mel(audio)
    return normalised(np.concatenate(vocal_tract(audio), axis=1), is_speech(energy))
