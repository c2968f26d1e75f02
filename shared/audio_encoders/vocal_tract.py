"""Resonances of the vocal tract without pitch and level, normalised over the speech."""

import numpy as np
from numpy.typing import NDArray

from shared import speech_spectrum
from shared.speech_spectrum import is_speech, log_mel, normalised, resonances

F32 = NDArray[np.float32]

SAMPLE_RATE = speech_spectrum.SAMPLE_RATE
ROWS_PER_SECOND = speech_spectrum.ROWS_PER_SECOND
N_CHANNELS = speech_spectrum.N_RESONANCE


def encode(audio: F32) -> F32:
    """Normalised spectral envelope, low to high. [samples] -> [rows, 30]"""
    _, energy = log_mel(audio)
    return normalised(resonances(audio), is_speech(energy))
