"""Log mel bands, normalised per band over the recording's speech."""

import numpy as np
from numpy.typing import NDArray

from shared import speech_spectrum
from shared.speech_spectrum import is_speech, log_mel, normalised

F32 = NDArray[np.float32]

SAMPLE_RATE = speech_spectrum.SAMPLE_RATE
ROWS_PER_SECOND = speech_spectrum.ROWS_PER_SECOND
N_CHANNELS = speech_spectrum.N_MEL

_DYNAMIC_RANGE = 14.0
"""Natural log units (61 dB) below the loudest rows; what is quieter counts as that quiet."""


def encode(audio: F32) -> F32:
    """Normalised bands, low to high. [samples] -> [rows, 40]"""
    bands, energy = log_mel(audio)
    audible = np.maximum(bands, np.percentile(energy, 99) - _DYNAMIC_RANGE)
    return normalised(audible, is_speech(energy))
