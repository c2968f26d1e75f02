"""A speaking face: what the motion model says, kept within what the subject's face can do."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.blinks import blink_channels
from services.audio2motion.fit import load_motion_model
from services.audio2motion.mouth import Mouth, limit_mouth, read_mouth
from services.audio2motion.smoothing import smooth
from services.audio2motion.tracks import (
    Tracks,
    coefficients_of,
    pose_deviations,
    split_coefficients,
)
from services.audio2motion.voice_activity import voice_activity
from shared.contracts.artifact import read_manifest
from shared.contracts.motion_model import MotionModelManifest

F32 = NDArray[np.float32]

_MOUTH_BLUR_S = 0.024
"""A lip closure lasts about a tenth of a second."""


def speak(
    folder: Path,
    audio: F32,
    idle: Tracks,
    shown: Tracks,
    *,
    fps: int,
    articulation: float = 1.0,
    idle_share: float = 0.0,
) -> Tracks:
    """Let a head that says nothing say ``audio``.

    Args:
        folder: The motion model.
        audio: 16 kHz mono. [samples]
        idle: What the head does anyway; its pose and its blinks stay. [T, ...]
        shown: The avatar's training frames.
        fps: Frames per second of ``idle``.
        articulation: Gain on the mouth's motion around its mean.
        idle_share: How much of the idle brows and gaze stays, 0 to 1; the rest follows sound
            and pose.

    Returns:
        All tracks. [T, ...]
    """
    model = read_manifest(folder, MotionModelManifest)
    mouth = read_mouth(folder)
    module = load_motion_model(model.motion_model)
    predicted = module.predict(folder, audio, pose_deviations(idle, shown), fps=fps)
    face = _limited(mouth, predicted, audio, fps=fps, articulation=articulation)
    # The upper face is around this subject's own mean, should the model be another's.
    upper = face - mouth.mean + coefficients_of(shown).mean(axis=0)
    upper += idle_share * (coefficients_of(idle) - upper)
    coefficients = np.where(mouth.is_mouth, face, upper).astype(np.float32)
    lids = blink_channels(model.expression_names)
    coefficients[:, lids] = idle["expr"][:, lids]
    return idle | split_coefficients(coefficients)


def _limited(mouth: Mouth, predicted: F32, audio: F32, *, fps: int, articulation: float) -> F32:
    """Smoothed, closed in silence, within the range shown and with lips uncrossed. [T, P]"""
    calm = smooth(predicted, fps, _MOUTH_BLUR_S)
    moving = mouth.mean + articulation * (calm - mouth.mean)
    speaking = voice_activity(audio, fps, len(predicted))[:, None]
    closing = mouth.closed + speaking * (moving - mouth.closed)
    return limit_mouth(mouth, np.where(mouth.is_mouth, closing, calm).astype(np.float32))
