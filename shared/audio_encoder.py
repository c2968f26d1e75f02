"""The audio encoder contract: speech in, feature rows at a fixed rate out.

One module per encoder in ``shared/audio_encoders/``; the file name is the registry name.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class AudioEncoder(Protocol):
    """What an audio encoder module offers."""

    SAMPLE_RATE: int
    """Of the audio it takes, in Hz."""
    ROWS_PER_SECOND: int
    """Row i describes the sound around second ``i / ROWS_PER_SECOND``."""
    N_CHANNELS: int
    """Width C of a row."""

    def encode(self, audio: F32) -> F32:
        """Describe a recording whatever its level and channel.

        Args:
            audio: Mono, -1 to 1. [samples]

        Returns:
            One row per step, at least one. [rows, C]
        """
        ...
