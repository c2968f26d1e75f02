"""The motion model contract: speech in, expression and jaw out.

One module per model in ``motion_models/``; the file name is the registry name.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.progress import Progress

F32 = NDArray[np.float32]


class SpokenCapture(NamedTuple):
    """A subject speaking: the training frames of one tracked dataset."""

    audio: F32
    """16 kHz mono, -1 to 1, of these frames alone. [samples]"""
    coefficients: F32
    """Tracked expression, then jaw pose. [T, E + 3]"""
    is_valid: NDArray[np.bool_]
    """False: the tracker rejected this frame. [T]"""
    lip_effect: F32
    """Metres that each of the 40 lip landmarks moves per unit of a coefficient. [E + 3, 40, 3]"""
    fps: int


class MotionModel(Protocol):
    """What a motion model module offers."""

    AUDIO_ENCODERS: tuple[str, ...]
    """Registry names of the audio encoders it listens through."""

    def fit(self, shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
        """Fit to one capture and write the model's files into ``out``."""
        ...

    def predict(self, model: Path, audio: F32, *, fps: int, n_frames: int) -> F32:
        """Expression, then jaw pose, for ``n_frames`` frames of a speech.

        Coefficients that speech does not move are the capture's mean. [n_frames, E + 3]
        """
        ...
