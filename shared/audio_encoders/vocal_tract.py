"""Resonances and sections of the vocal tract, without pitch and level, normalised over speech."""

import numpy as np
from numpy.typing import NDArray

from shared import speech_spectrum
from shared.speech_spectrum import (
    Levels,
    at_levels,
    is_speech,
    levels_of,
    log_mel,
    tract_loudness,
    vocal_tract,
)

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

SAMPLE_RATE = speech_spectrum.SAMPLE_RATE
ROWS_PER_SECOND = speech_spectrum.ROWS_PER_SECOND
N_CHANNELS = speech_spectrum.N_RESONANCE + speech_spectrum.N_SECTIONS
MODEL_FILES = ()
LOOK_AHEAD_S = speech_spectrum.LOOK_AHEAD_S
REACH_SAMPLES = speech_spectrum.REACH_SAMPLES


def encode(audio: F32) -> F32:
    """Spectral envelope, low to high, then area ratios. [samples] -> [rows, 30 + 10]"""
    rows, levels = _measured(audio)
    return at_levels(rows, levels)


def measure_levels(audio: F32) -> Levels:
    """What ``encode`` takes away of a recording: its loudness and voice."""
    return _measured(audio)[1]


def encode_at_levels(audio: F32, levels: Levels) -> F32:
    """The same at levels measured elsewhere. [samples] -> [rows, 30 + 10]"""
    return at_levels(_rows(audio, float(levels["loud"])), levels)


def _measured(audio: F32) -> tuple[Floats, Levels]:
    loud = tract_loudness(audio)
    _, energy = log_mel(audio)
    rows = _rows(audio, loud)
    return rows, {"loud": np.asarray(loud), **levels_of(rows, is_speech(energy))}


def _rows(audio: F32, loud: float) -> Floats:
    return np.concatenate(vocal_tract(audio, loud), axis=1)
