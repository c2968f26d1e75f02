"""Log mel bands, normalised per band over the recording's speech."""

import numpy as np
from numpy.typing import NDArray

from shared import speech_spectrum
from shared.speech_spectrum import Levels, at_levels, is_speech, levels_of, log_mel

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

SAMPLE_RATE = speech_spectrum.SAMPLE_RATE
ROWS_PER_SECOND = speech_spectrum.ROWS_PER_SECOND
N_CHANNELS = speech_spectrum.N_MEL
MODEL_FILES = ()
LOOK_AHEAD_S = speech_spectrum.LOOK_AHEAD_S
REACH_SAMPLES = speech_spectrum.REACH_SAMPLES

_DYNAMIC_RANGE = 14.0
"""Natural log units (61 dB) below the loudest rows; what is quieter counts as that quiet."""


def encode(audio: F32) -> F32:
    """Normalised bands, low to high. [samples] -> [rows, 40]"""
    bands, energy = log_mel(audio)
    return _scaled(bands, _levels(bands, energy))


def measure_levels(audio: F32) -> Levels:
    """What ``encode`` takes away of a recording: its loudness, microphone and voice."""
    return _levels(*log_mel(audio))


def encode_at_levels(audio: F32, levels: Levels) -> F32:
    """The same at levels measured elsewhere. [samples] -> [rows, 40]"""
    return _scaled(log_mel(audio)[0], levels)


def _levels(bands: Floats, energy: Floats) -> Levels:
    quietest = np.asarray(np.percentile(energy, 99) - _DYNAMIC_RANGE)
    return {"quietest": quietest, **levels_of(np.maximum(bands, quietest), is_speech(energy))}


def _scaled(bands: Floats, levels: Levels) -> F32:
    return at_levels(np.maximum(bands, levels["quietest"]), levels)
