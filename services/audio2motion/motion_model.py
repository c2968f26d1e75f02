"""The motion model contract: speech and head pose in, everything else a face does out.

One module per model in ``motion_models/``; the file name is the registry name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.emotions import EmotionKeyframe
from shared.plugins import load_plugin
from shared.progress import Progress

F32 = NDArray[np.float32]


class SpokenCapture(NamedTuple):
    """A subject speaking: the training frames of one tracked dataset."""

    audio: F32
    """16 kHz mono, -1 to 1, of these frames alone. [samples]"""
    coefficients: F32
    """Tracked expression, then jaw pose, then eyes pose. [T, P = E + 3 + 6]"""
    pose: F32
    """Head pose as deviations from the capture's mean, see ``tracks.pose_deviations``. [T, 6]"""
    is_valid: NDArray[np.bool_]
    """False: the tracker rejected this frame. [T]"""
    lip_effect: F32
    """Metres that each of the 40 lip landmarks moves per unit of a coefficient. [P, 40, 3]"""
    fps: int
    speaker: str = ""
    """Who speaks: the capture's digest."""
    emotions: tuple[EmotionKeyframe, ...] = ()
    """What the subject felt; empty where nobody has told."""
    expression_names: tuple[str, ...] = ()
    """Of the E expression coefficients."""


class Fitting(NamedTuple):
    """How a model is trained on several captures."""

    seed: int = 0
    audio_encoders: tuple[str, ...] | None = None
    """Registry names of those to listen through; None leaves it to the model."""
    n_steps: int | None = None
    """Optimizer steps; None leaves it to the model."""
    checkpoints: Path | None = None
    """Folder from which a training that was stopped goes on; None keeps no checkpoints."""


class MotionModel(Protocol):
    """What a motion model module offers."""

    AUDIO_ENCODERS: tuple[str, ...]
    """Registry names of the audio encoders it listens through."""

    def fit(self, shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
        """Fit to one capture and write the model's files into ``out``."""
        ...

    def predict(self, model: Path, audio: F32, pose: F32, *, fps: int) -> F32:
        """Expression, jaw pose and eyes pose of a head that moves so and says that.

        Args:
            model: What ``fit`` wrote.
            audio: The speech, shorter or longer than the pose. [samples]
            pose: Head pose of each frame, as deviations. [T, 6]
            fps: Frames per second.

        Returns:
            One row per frame, blinks and limits not considered. [T, P]
        """
        ...


@runtime_checkable
class TrainedMotionModel(MotionModel, Protocol):
    """What a module offers beside when it learns from several captures, of one or many subjects."""

    def fit_captures(
        self, captures: Sequence[SpokenCapture], fitting: Fitting, *, out: Path, progress: Progress
    ) -> tuple[str, ...]:
        """Train on all of ``captures`` and write the model's files into ``out``.

        Returns:
            Registry names of the audio encoders that it listens through.
        """
        ...

    def predict_as(self, model: Path, audio: F32, pose: F32, *, fps: int, speaker: str) -> F32:
        """As ``predict``, in the manner of one of the captures' speakers.

        Whoever is none of them is spoken for by what the speakers have in common. [T, P]
        """
        ...


@runtime_checkable
class FeelingMotionModel(TrainedMotionModel, Protocol):
    """What a module offers beside when it has learned how emotions look."""

    def predict_feeling(
        self,
        model: Path,
        audio: F32,
        pose: F32,
        *,
        fps: int,
        speaker: str,
        emotions: Sequence[EmotionKeyframe],
    ) -> F32:
        """As ``predict_as``, with the emotions of ``emotions`` over time. [T, P]

        Raises:
            Unavailable: ``emotion_unavailable`` the model has not learned one of them.
        """
        ...


def load_motion_model(name: str) -> MotionModel:
    """The motion model module called ``name``."""
    return cast(MotionModel, load_plugin("services.audio2motion.motion_models", name))
