"""Hears a sound chunk by chunk, with the same rows as of the whole.

An encoder can do so when a row depends on the sound near it alone, once it is known how loud and
by whom the recording is: its levels. They are measured beforehand, on the recording itself or on
seconds of the same voice and microphone. Levels that follow the sound would let every row change
with what comes later.
"""

from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Levels = dict[str, NDArray[np.float64]]


class ChunkableEncoder(Protocol):
    """What an audio encoder module offers besides, if it can hear chunk by chunk."""

    SAMPLE_RATE: int
    ROWS_PER_SECOND: float
    N_CHANNELS: int
    LOOK_AHEAD_S: float
    """How much sound after its time a row waits for; see ``shared.audio_encoder``."""
    REACH_SAMPLES: int
    """A row depends on so many samples on either side of its time at most; whole rows."""

    def encode(self, audio: F32) -> F32:
        """See ``shared.audio_encoder``."""
        ...

    def measure_levels(self, audio: F32) -> Levels:
        """What ``encode`` takes away of a recording. [samples]"""
        ...

    def encode_at_levels(self, audio: F32, levels: Levels) -> F32:
        """``encode`` with levels from elsewhere; ``encode`` is this at its own levels."""
        ...


def is_chunkable(encoder: object) -> TypeGuard[ChunkableEncoder]:
    """Whether an audio encoder can hear chunk by chunk."""
    return hasattr(encoder, "encode_at_levels")


class LevelledEncoder(Protocol):
    """What a stream needs of it."""

    N_CHANNELS: int
    SAMPLE_RATE: int
    ROWS_PER_SECOND: float
    REACH_SAMPLES: int

    def encode_at_levels(self, audio: F32, levels: Levels) -> F32:
        """Rows of a part of a recording. [rows, C]"""
        ...


class EncoderStream:
    """Rows of a sound that is still going on."""

    def __init__(self, encoder: LevelledEncoder, levels: Levels) -> None:
        self._encoder, self._levels = encoder, levels
        self._hop = round(encoder.SAMPLE_RATE / encoder.ROWS_PER_SECOND)
        self._kept = np.zeros(0, np.float32)
        self._first_row = 0  # of the samples kept
        self._next_row = 0

    def push(self, samples: F32) -> F32:
        """Hear more, and give the rows that nothing later can change. [n] -> [rows, C]"""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        n_samples = self._first_row * self._hop + len(self._kept)
        n_ready = (n_samples - self._encoder.REACH_SAMPLES) // self._hop
        return self._rows(n_ready) if n_ready > self._next_row else self._nothing()

    def finish(self) -> F32:
        """The remaining rows, now that nothing more comes. [rows, C]"""
        n_samples = self._first_row * self._hop + len(self._kept)
        n_rows = max(1, -(-n_samples // self._hop))
        return self._rows(n_rows) if n_rows > self._next_row else self._nothing()

    def _rows(self, end: int) -> F32:
        rows = self._encoder.encode_at_levels(self._kept, self._levels)
        found = rows[self._next_row - self._first_row : end - self._first_row]
        self._next_row = end
        first = max(0, end - self._encoder.REACH_SAMPLES // self._hop)
        self._kept = self._kept[(first - self._first_row) * self._hop :]
        self._first_row = first
        return found

    def _nothing(self) -> F32:
        return np.zeros((0, self._encoder.N_CHANNELS), np.float32)
