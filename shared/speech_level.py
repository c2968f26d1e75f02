"""Brings speech to one level, for encoders that hear loudness."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F32 = NDArray[np.float32]

USUAL_RMS = 0.1
"""Of loud speech: -20 dBFS, as recordings for speech corpora are made."""
_WINDOW = 400
_LOUD_PERCENT = 95
_QUIETEST_RMS = 1e-3
"""At -60 dBFS there is no speech, only a room; it is not blown up."""


def speech_gain(audio: F32) -> float:
    """Factor that brings the loud parts of a 16 kHz recording to -20 dBFS; 1 for silence."""
    padded = np.pad(audio, (0, max(0, _WINDOW - len(audio))))
    squares = sliding_window_view(padded, _WINDOW)[:: _WINDOW // 2].astype(np.float64) ** 2
    loud = float(np.percentile(np.sqrt(squares.mean(axis=1)), _LOUD_PERCENT))
    return USUAL_RMS / loud if loud > _QUIETEST_RMS else 1.0
