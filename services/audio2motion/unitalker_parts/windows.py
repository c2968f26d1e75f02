"""Speech of any length in windows of 25 s that share 5 s, over which they are cross-faded.

So UniTalker's own demonstration does. It bounds memory, and what is heard of the future: a frame
depends on nothing after the end of its last window.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Predict = Callable[[F32, int], F32]
"""Samples and frames wanted to values. [n], T -> [T, K]"""

SAMPLE_RATE = 16_000
WINDOW_S, SHARED_S = 25, 5
_WINDOW, _STEP = WINDOW_S * SAMPLE_RATE, (WINDOW_S - SHARED_S) * SAMPLE_RATE
_LEAST = 400
"""Samples that the network's first layers need for one row."""


class WindowedSpeech:
    """Values of a speech that is still going on, window by window."""

    def __init__(self, predict: Predict, fps: int) -> None:
        self._predict, self._fps = predict, fps
        self._kept = np.zeros(0, np.float32)
        self._fading: F32 | None = None  # the shared frames as the window before says them

    def push(self, samples: F32) -> F32:
        """Hear more, and give the frames that are settled. [n] -> [T, K]"""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        settled = []
        while len(self._kept) > _WINDOW:  # the last window is known only by what follows it
            values = self._faded(self._predict(self._kept[:_WINDOW], WINDOW_S * self._fps))
            n_settled = (WINDOW_S - SHARED_S) * self._fps
            settled.append(values[:n_settled])
            self._fading = values[n_settled:]
            self._kept = self._kept[_STEP:]
        return np.concatenate(settled) if settled else np.zeros((0, 0), np.float32)

    def finish(self) -> F32:
        """The remaining frames, now that nothing more comes; at least one. [T, K]"""
        n_frames = max(1, round(len(self._kept) / SAMPLE_RATE * self._fps))
        heard = np.pad(self._kept, (0, max(0, _LEAST - len(self._kept))))
        return self._faded(self._predict(heard, n_frames))

    def _faded(self, values: F32) -> F32:
        """Begin as the window before ended. [T, K]"""
        if self._fading is None:
            return values
        n = len(self._fading)
        share = np.linspace(0, 1, n, dtype=np.float32)[:, None]
        mixed = (1 - share) * self._fading + share * values[:n]
        return np.concatenate([mixed, values[n:]])


def predict_whole(predict: Predict, audio: F32, fps: int) -> F32:
    """All of a recording at once. [samples] -> [T, K]"""
    speech = WindowedSpeech(predict, fps)
    settled, rest = speech.push(audio), speech.finish()
    return np.concatenate([settled, rest]) if len(settled) else rest
