"""HuBERT (Hsu et al. 2021), large, as SyncTalk and KU GaussianTalker hear: 50 rows a second."""

import math

import numpy as np
from numpy.typing import NDArray

from shared import speech_transformers
from shared.speech_transformers import encode_with

F32 = NDArray[np.float32]

SAMPLE_RATE = speech_transformers.SAMPLE_RATE
ROWS_PER_SECOND = speech_transformers.ROWS_PER_SECOND
N_CHANNELS = 1024
MODEL_FILES = ("hubert-large-ls960-ft",)
LOOK_AHEAD_S = math.inf
"""Its transformer attends to everything."""


def encode(audio: F32) -> F32:
    """Last hidden states. [samples] -> [rows, 1024]"""
    return encode_with(MODEL_FILES[0], "hubert", N_CHANNELS, audio)
