"""Labelled captures of a made-up subject: the demo puppet's speech, and regions moving together.

What the upper face does depends on the mouth, the emotion and the subject's whim, and is tracked
with an error of its own in each coefficient.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.emotions import EmotionKeyframe, emotion_weights
from services.audio2motion.motion_model import SpokenCapture
from services.audio2motion.mouth import Lips
from services.embedded.puppet.babble import write_script
from services.embedded.puppet.performance import perform
from services.embedded.puppet.speech_synthesis import synthesise
from shared.landmarks import INNER_LIP_PAIRS, LIPS

F32 = NDArray[np.float32]

FPS = 25
NAMES = (
    "browInnerUp",
    "browOuterUp_L",
    "eyeSquint_L",
    "eyeWide_L",
    "cheekSquint_L",
    "noseSneer_L",
    "mouthSmile_L",
    "mouthFunnel",
)
EMOTIONS = ("happy", "surprised")
BROWS, EYES, CHEEKS, SMILE = [0, 1], [2, 3], [4, 5], 6
JAW = len(NAMES)
_TRACKING_ERROR = 0.04


class Labelled(NamedTuple):
    """A capture, and when the subject's lips were shut."""

    capture: SpokenCapture
    is_shut: NDArray[np.bool_]  # [T]


def make_labelled(emotions: tuple[EmotionKeyframe, ...], seed: int, seconds: float = 8) -> Labelled:
    """The subject babbles and feels what ``emotions`` say."""
    script = write_script(seed, seconds)
    n_frames = int(seconds * FPS)
    poses, _ = perform(script, n_frames, FPS, seed)
    audio = synthesise(script, seed)[: n_frames * 640]
    jaw, width, press, whim = np.array(
        [(pose.jaw, pose.width, pose.press, pose.brows) for pose in poses]
    ).T
    felt = emotion_weights(emotions, EMOTIONS, (np.arange(n_frames) + 0.5) / FPS)
    happy, surprised = felt.T.astype(np.float64)
    opening = jaw * (1 - press) / 0.2 * (1 + 0.2 * surprised)
    smile = 0.3 * (width + 1) * (1 + 0.5 * happy) + 0.1 * happy
    raised = (0.1 + 0.5 * surprised) * opening + 0.2 * surprised + 0.2 * whim
    lifted = (0.1 + 0.8 * happy) * smile + 0.1 * happy
    columns = np.zeros((n_frames, len(NAMES) + 9))
    columns[:, BROWS] = np.stack([raised, 0.7 * raised], 1)
    columns[:, EYES] = np.stack([0.7 * lifted, 0.6 * raised], 1)
    columns[:, CHEEKS] = np.stack([lifted, 0.5 * lifted], 1)
    columns[:, SMILE] = smile
    columns[:, SMILE + 1] = 0.2 * (1 - width)
    columns[:, JAW] = 0.2 * opening
    error = np.random.default_rng(seed).standard_normal((n_frames, SMILE))
    columns[:, :SMILE] += _TRACKING_ERROR * error
    moved = np.array([[*pose.rotation, *pose.translation] for pose in poses])
    deviations = (moved - moved.mean(0)) / np.maximum(moved.std(0), 1e-6)
    capture = SpokenCapture(
        audio=audio,
        coefficients=columns.astype(np.float32),
        pose=np.clip(deviations, -3, 3).astype(np.float32),
        is_valid=np.ones(n_frames, np.bool_),
        lip_effect=make_lips().effect,
        fps=FPS,
        speaker="puppet",
        emotions=emotions,
        expression_names=NAMES,
    )
    return Labelled(capture, press > 0.95)


def make_lips() -> Lips:
    """The jaw opens them, a smile widens them, a funnel rounds them."""
    effect = np.zeros((len(NAMES) + 9, 40, 3), np.float32)
    places = {landmark: number for number, landmark in enumerate(LIPS)}
    upper, lower = ([places[pair[k]] for pair in INNER_LIP_PAIRS] for k in (0, 1))
    effect[JAW, lower, 1] = -0.08
    effect[SMILE, :, 0] = np.linspace(-0.008, 0.008, 40)
    effect[SMILE + 1, upper, 2] = effect[SMILE + 1, lower, 2] = 0.006
    return Lips(np.zeros((40, 3), np.float32), effect)
