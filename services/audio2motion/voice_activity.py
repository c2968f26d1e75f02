"""Tells speech from pause by level, so that the mouth can close in silence."""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_SAMPLE_RATE = 16_000
_HOP = 160
_WINDOW = 400
_QUIETEST_SPEECH_DB = -55.0
"""dBFS; the noise of a quiet room lies below."""
_SPEECH_RANGE_DB = 35.0
"""Speech lies within this much of the recording's loud parts."""
_LOUD_PERCENT = 95
PAUSE_S = 0.4
"""Between phrases people breathe, lips at rest; stop consonants and commas are shorter."""
SILENCE_S = 1.2
"""Only then they close their mouth."""
_LEAD_S = 0.16
"""The mouth opens before the sound is heard."""
_TAIL_S = 0.12
_EASE_S = 0.12
"""Time in which the mouth closes or opens."""


def voice_activity(audio: F32, fps: int, n_frames: int, *, shortest_s: float = SILENCE_S) -> F32:
    """How far each frame belongs to speech, 0 in pauses to 1.

    Args:
        audio: 16 kHz mono, -1 to 1. [samples]
        fps: Frames per second.
        n_frames: Number of frames.
        shortest_s: Pauses shorter than this are speech.

    Returns:
        0 to 1, easing in and out. [n_frames]
    """
    level = sound_level(audio)
    threshold = max(
        _QUIETEST_SPEECH_DB, float(np.percentile(level, _LOUD_PERCENT)) - _SPEECH_RANGE_DB
    )
    is_speech = _without_short_pauses(level > threshold, shortest_s)
    rate = _SAMPLE_RATE / _HOP
    is_near = _widened(is_speech, round(_LEAD_S * rate), round(_TAIL_S * rate))
    n_ease = 2 * round(_EASE_S * rate / 2) + 1
    ease = np.hanning(n_ease + 2)[1:-1]
    padded = np.pad(is_near.astype(np.float64), n_ease // 2, mode="edge")
    eased = np.convolve(padded, ease / ease.sum(), mode="valid")
    times = np.arange(n_frames) / fps * rate
    return np.interp(times, np.arange(len(eased)), eased).astype(np.float32)


def sound_level(audio: F32) -> NDArray[np.float64]:
    """Root mean square of 25 ms every 10 ms, in dBFS, at least -120. [rows]"""
    padded = np.pad(audio, (_WINDOW // 2, _WINDOW + _HOP))
    n_rows = max(1, -(-len(audio) // _HOP))
    squares = sliding_window_view(padded, _WINDOW)[::_HOP][:n_rows].astype(np.float64) ** 2
    return np.asarray(10 * np.log10(squares.mean(axis=1) + 1e-12))


def _without_short_pauses(is_speech: NDArray[np.bool_], shortest_s: float) -> NDArray[np.bool_]:
    """Fill pauses shorter than ``shortest_s`` where there is speech at all."""
    filled = is_speech.copy()
    spoken = np.flatnonzero(is_speech)
    if not len(spoken):
        return filled
    longest = round(shortest_s * _SAMPLE_RATE / _HOP)
    for before, after in pairwise([-1, *spoken, len(filled)]):
        if after - before <= longest:
            filled[max(before, 0) : after] = True
    return filled


def _widened(is_speech: NDArray[np.bool_], lead: int, tail: int) -> NDArray[np.bool_]:
    """Let each stretch of speech begin ``lead`` rows earlier and end ``tail`` rows later."""
    widened = is_speech.copy()
    for shift in range(1, max(lead, tail) + 1):
        if shift <= lead:
            widened[:-shift] |= is_speech[shift:]
        if shift <= tail:
            widened[shift:] |= is_speech[:-shift]
    return widened
