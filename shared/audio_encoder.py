"""The audio encoder contract: speech in, feature rows at a fixed rate out.

One module per encoder in ``shared/audio_encoders/``; the file name is the registry name. Frame
rates are no business of an encoder: ``shared.audio_windows`` takes its rows to any.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class AudioEncoder(Protocol):
    """What an audio encoder module offers."""

    SAMPLE_RATE: int
    """Of the audio it takes, in Hz."""
    ROWS_PER_SECOND: float
    """Row i describes the sound around second ``i / ROWS_PER_SECOND``."""
    N_CHANNELS: int
    """Width C of a row."""
    MODEL_FILES: tuple[str, ...]
    """Names in ``shared.model_files`` of what it reads from the models folder; () for nothing."""
    LOOK_AHEAD_S: float
    """How much sound after its time a row depends on, in seconds; math.inf for all there is.

    Levels of the whole recording, where an encoder takes them away, come on top; see
    ``shared.audio_stream``.
    """

    def encode(self, audio: F32) -> F32:
        """Describe a recording whatever its level and channel.

        Args:
            audio: Mono, -1 to 1. [samples]

        Returns:
            One row per step, at least one. [rows, C]

        Raises:
            MissingModel: ``missing_model_file`` what it needs is not in the models folder.
            InvalidInput: ``bad_model_file`` what is there is something else.
        """
        ...
