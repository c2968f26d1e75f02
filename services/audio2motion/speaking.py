"""A speaking face: what the motion model says, kept within what the subject's face can do."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.blinks import blink_channels
from services.audio2motion.borrowing import Voice, choose_voice
from services.audio2motion.emotions import EmotionKeyframe, emotions_of
from services.audio2motion.motion_model import (
    FeelingMotionModel,
    TrainedMotionModel,
    load_motion_model,
)
from services.audio2motion.mouth import Mouth, limit_mouth, mouth_openings
from services.audio2motion.smoothing import smooth
from services.audio2motion.tracks import (
    Tracks,
    coefficients_of,
    pose_deviations,
    split_coefficients,
)
from services.audio2motion.voice_activity import PAUSE_S, voice_activity
from shared.contracts.artifact import read_manifest
from shared.contracts.motion_model import MotionModelManifest
from shared.errors import Unavailable

F32 = NDArray[np.float32]

_MAX_GAIN = 1.8
"""A model that hears little is not made to shout."""
_MOUTH_BLUR_S = 0.024
"""A lip closure lasts about a tenth of a second."""


def speak(  # noqa: PLR0913 - named in every call
    folder: Path,
    audio: F32,
    idle: Tracks,
    shown: Tracks,
    *,
    fps: int,
    articulation: float = 0.0,
    idle_share: float = 0.0,
    avatar: Path | None = None,
    emotions: Sequence[EmotionKeyframe] = (),
) -> Tracks:
    """Let a head that says nothing say ``audio``.

    Args:
        folder: The motion model.
        audio: 16 kHz mono. [samples]
        idle: What the head does anyway; its pose and its blinks stay. [T, ...]
        shown: The avatar's training frames.
        fps: Frames per second of ``idle``.
        articulation: 0 moves the mouth as far as the model is sure of, which is least wrong
            frame by frame; 1 as lively as the subject was.
        idle_share: How much of the idle brows and gaze stays, 0 to 1; the rest follows sound
            and pose.
        avatar: The avatar or dataset that speaks, should the model be of other captures; None is
            who the model was fitted to.
        emotions: What is felt over time; without any the face is neutral.

    Returns:
        All tracks. [T, ...]

    Raises:
        Unavailable: ``emotion_unavailable`` the model has not learned what is to be felt.
    """
    model = read_manifest(folder, MotionModelManifest)
    voice = choose_voice(folder, model, shown, avatar)
    mouth = voice.mouth
    predicted = _predicted(
        folder, model, audio, pose_deviations(idle, shown), voice, fps=fps, emotions=emotions
    )
    calm = smooth(predicted, fps, _MOUTH_BLUR_S)
    lively = _articulated(mouth, calm, shown, articulation)
    resting = _at_rest(mouth, lively, audio, fps)
    face = limit_mouth(mouth, np.where(mouth.is_mouth, resting, calm).astype(np.float32))
    # The upper face is around this subject's own mean, should the model be another's.
    upper = face - mouth.mean + coefficients_of(shown).mean(axis=0)
    upper += idle_share * (coefficients_of(idle) - upper)
    coefficients = np.where(mouth.is_mouth, face, upper).astype(np.float32)
    lids = blink_channels(model.expression_names)
    coefficients[:, lids] = idle["expr"][:, lids]
    return idle | split_coefficients(coefficients)


def _predicted(
    folder: Path,
    about: MotionModelManifest,
    audio: F32,
    pose: F32,
    voice: Voice,
    *,
    fps: int,
    emotions: Sequence[EmotionKeyframe],
) -> F32:
    """What the model says, about the mean of who speaks. [T, P]"""
    module = load_motion_model(about.motion_model)
    if isinstance(module, FeelingMotionModel):
        said = module.predict_feeling(
            folder, audio, pose, fps=fps, speaker=voice.speaker, emotions=emotions
        )
    elif emotions_of(emotions):
        raise Unavailable(
            "emotion_unavailable",
            f"the motion model {folder} is a {about.motion_model} and has learned no emotions; "
            "fit one with --motion-model emotional to captures with labels, and name it",
        )
    elif isinstance(module, TrainedMotionModel):
        said = module.predict_as(folder, audio, pose, fps=fps, speaker=voice.speaker)
    else:
        said = module.predict(folder, audio, pose, fps=fps)
    return said + voice.offset


def _articulated(mouth: Mouth, predicted: F32, shown: Tracks, articulation: float) -> F32:
    """Give back the liveliness that a regression takes away. [T, P]"""
    shown_range = float(mouth_openings(mouth, coefficients_of(shown)).std())
    predicted_range = float(mouth_openings(mouth, predicted).std())
    restored = float(np.clip(shown_range / max(predicted_range, 1e-6), 1.0, _MAX_GAIN))
    gain = 1 + articulation * (restored - 1)
    return np.asarray(mouth.mean + gain * (predicted - mouth.mean), np.float32)


def _at_rest(mouth: Mouth, moving: F32, audio: F32, fps: int) -> F32:
    """Rest the mouth between phrases and close it in silence. [T, P]"""
    phrase = voice_activity(audio, fps, len(moving), shortest_s=PAUSE_S)[:, None]
    sound = voice_activity(audio, fps, len(moving))[:, None]
    resting = mouth.pause + phrase * (moving - mouth.pause)
    return np.asarray(mouth.closed + sound * (resting - mouth.closed), np.float32)
