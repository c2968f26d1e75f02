"""UniTalker: one model of 934 speakers, used as published.

Fan et al., "UniTalker: Scaling up audio-driven 3D facial animation through a unified model",
ECCV 2024; see ``unitalker_parts``. It hears the sound alone, in nobody's style unless a speaker
is chosen, and says differences from a neutral face, which are laid on this avatar's. Departures:
each window of 25 s is brought to one level (there, also the whole), so that a stream can be
heard; frames are interpolated from its 25 or 30 a second to any rate.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from services.audio2motion.motion_model import SpokenCapture
from services.audio2motion.pretrained import Face, SpeakerChoice
from services.audio2motion.streaming import MotionStream
from services.audio2motion.unitalker_parts.checkpoint import FILE, Loaded, load_checkpoint
from services.audio2motion.unitalker_parts.faces import FACE_TABLE, choose_output, map_output
from services.audio2motion.unitalker_parts.outputs import N_STYLES, OUTPUTS, PIVOT
from services.audio2motion.unitalker_parts.windows import (
    WINDOW_S,
    Predict,
    WindowedSpeech,
    predict_whole,
)
from shared.audio_windows import rows_at
from shared.contracts.artifact import Arrays, read_arrays, write_arrays
from shared.errors import InvalidInput
from shared.progress import Progress

F32 = NDArray[np.float32]

AUDIO_ENCODERS = ("wavlm",)
"""Model L resembles wav2vec2; either has its own inside."""
MODEL_FILES = (FILE,)
LOOK_AHEAD_S = float(WINDOW_S)
"""Its speech transformer attends to a whole window."""

_MAP = "unitalker.npz"


def fit(shown: SpokenCapture, *, seed: int, out: Path, progress: Progress) -> None:
    """Refused: it is used as published."""
    del shown, seed, out, progress
    raise InvalidInput(
        "model_not_trainable",
        "unitalker is used as published; talksplat animate AVATAR AUDIO --motion-model unitalker",
    )


def prepare(face: Face, choice: SpeakerChoice, out: Path) -> str:
    """Write how it speaks through ``face``; see ``services.audio2motion.pretrained``."""
    style = PIVOT if choice.style is None else choice.style
    if not 0 <= style < N_STYLES:
        raise InvalidInput(
            "bad_speaker_style", f"unitalker has the styles 0 to {PIVOT}, not {style}"
        )
    if choice.output is not None and choice.output not in OUTPUTS:
        raise InvalidInput("output_incompatible", f"unitalker has the outputs {', '.join(OUTPUTS)}")
    name = choice.output or choose_output(face)
    loaded = load_checkpoint()
    found = map_output(name, face)
    arrays: Arrays = {**found._asdict(), "style": np.asarray(style), "output": np.asarray(name)}
    write_arrays(out / _MAP, arrays, FACE_TABLE)
    return loaded.variant.audio_encoder


def predict(model: Path, audio: F32, pose: F32, *, fps: int) -> F32:
    """Expression, jaw and eyes of a speech; see the contract. [T, P]"""
    own_fps, say, stored = _speaker(model)
    values = predict_whole(say, audio, own_fps)
    places = _places(np.arange(len(pose)), fps, own_fps)
    return _coefficients(stored, rows_at(values, places))


def open_stream(model: Path, like: F32, *, fps: int) -> MotionStream:
    """The same, chunk by chunk, a window behind; see ``services.audio2motion.streaming``."""
    del like  # each window is brought to one level by itself
    return _Stream(model, fps)


class _Stream:
    """Frames of a speech that is still going on."""

    def __init__(self, model: Path, fps: int) -> None:
        own_fps, say, self._stored = _speaker(model)
        self._speech = WindowedSpeech(say, own_fps)
        self._fps, self._own_fps = fps, own_fps
        self._values: F32 | None = None  # the network's, from the first that is still needed on
        self._first = 0
        self._n_waiting = self._n_given = 0

    def push(self, audio: F32, pose: F32) -> F32:
        """Hear more; frames that are settled. [T, P]"""
        self._n_waiting += len(pose)
        self._take(self._speech.push(audio))
        n_values = self._first + (0 if self._values is None else len(self._values))
        frames = self._n_given + np.arange(self._n_waiting)
        return self._give(int((_places(frames, self._fps, self._own_fps) < n_values - 1).sum()))

    def finish(self, pose: F32) -> F32:
        """The remaining frames of which there is a pose. [T, P]"""
        self._n_waiting += len(pose)
        self._take(self._speech.finish())
        return self._give(self._n_waiting)

    def _take(self, values: F32) -> None:
        if len(values):
            known = [] if self._values is None else [self._values]
            self._values = np.concatenate([*known, values])

    def _give(self, n_frames: int) -> F32:
        if self._values is None or not n_frames:
            return np.zeros((0, self._stored["offset"].shape[0]), np.float32)
        places = _places(self._n_given + np.arange(n_frames), self._fps, self._own_fps)
        frames = _coefficients(self._stored, rows_at(self._values, places - self._first))
        self._n_given += n_frames
        self._n_waiting -= n_frames
        n_over = min(max(int(places[-1]) - self._first, 0), len(self._values) - 1)
        self._values = self._values[n_over:]
        self._first += n_over
        return frames


def _speaker(model: Path) -> tuple[int, Predict, Arrays]:
    """Its own frame rate, what says the values of a stretch of sound, and the face's map."""
    stored = read_arrays(model / _MAP, FACE_TABLE)
    output = OUTPUTS[str(stored["output"])]
    loaded = load_checkpoint()
    style = torch.from_numpy(stored["style"].astype(np.int64)).reshape(1)

    def say(samples: F32, n_frames: int) -> F32:
        return _say(loaded, samples, style, output.head, n_frames)

    return output.fps, say, stored


def _say(loaded: Loaded, samples: F32, style: torch.Tensor, head: str, n_frames: int) -> F32:
    with torch.no_grad():
        found = loaded.network(torch.from_numpy(samples.copy())[None], style, head, n_frames)
    return np.asarray(found[0].numpy(), np.float32)


def _coefficients(stored: Arrays, values: F32) -> F32:
    matrix, offset = (stored[name].astype(np.float32) for name in ("matrix", "offset"))
    return np.asarray(values @ matrix + offset, np.float32)


def _places(frames: NDArray[np.int64], fps: int, own_fps: int) -> NDArray[np.float64]:
    """Where the middles of frames lie among frames of its own rate."""
    return (frames + 0.5) / fps * own_fps - 0.5
