"""What a fitted speaker remembers, and frames of it: of a whole speech or chunk by chunk."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.audio2motion.sound_kernel import (
    WINDOW_END_S,
    WINDOW_START_S,
    SoundEncoder,
    likeness,
    sound_windows,
)
from shared.audio_stream import EncoderStream, Levels
from shared.contracts.artifact import Column, read_arrays

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_POSE_LINEAR = 0.3
"""Weight of a linear kernel beside the squared exponential one."""
_PART = 1000
"""Frames predicted at once, so that an hour of speech needs little memory."""
FILE = "speaker_regressor.npz"

TABLE = {
    "windows": Column("float32", ("N", "L", "C"), "1", "sound of the remembered frames"),
    "poses": Column("float32", ("N", 6), "1", "their head pose, as deviations"),
    "by_sound": Column("float64", ("N", "P"), "1", "what likeness to their sound adds"),
    "by_pose": Column("float64", ("N", "P"), "1", "what likeness to their pose adds"),
    "shift": Column("float64", (), "s", "added to a frame's time to find its sound"),
    "mean": Column("float64", ("P",), "1", "mean coefficients of the capture"),
}


class Speaker(NamedTuple):
    """What ``fit`` wrote."""

    windows: F32
    poses: F32
    by_sound: Floats
    by_pose: Floats
    mean: Floats
    shift: float


class SpeakerStream:
    """Frames of a speech that is still going on."""

    def __init__(self, speaker: Speaker, levels: Levels, fps: int) -> None:
        self._speaker, self._fps = speaker, fps
        self._sound = EncoderStream(SoundEncoder(), levels)
        self._rows = np.zeros((0, SoundEncoder.N_CHANNELS), np.float32)
        self._first_row = 0  # of those kept
        self._pose = np.zeros((0, 6), np.float32)  # of the frames not given yet
        self._n_given = 0

    def push(self, audio: F32, pose: F32) -> F32:
        """Hear more; frames that are settled. [T, P]"""
        self._take(self._sound.push(audio), pose)
        heard_s = (self._first_row + len(self._rows) - 1) / SoundEncoder.ROWS_PER_SECOND
        latest_s = heard_s - WINDOW_END_S - self._speaker.shift
        return self._give(max(0, int(np.ceil(latest_s * self._fps - 0.5)) - self._n_given))

    def finish(self, pose: F32) -> F32:
        """The remaining frames of which there is a pose. [T, P]"""
        self._take(self._sound.finish(), pose)
        return self._give(len(self._pose))

    def _take(self, rows: F32, pose: F32) -> None:
        self._rows = np.concatenate([self._rows, rows])
        self._pose = np.concatenate([self._pose, pose.astype(np.float32)])

    def _give(self, n_settled: int) -> F32:
        n_frames = min(n_settled, len(self._pose))
        begins = Begins(self._n_given, self._first_row)
        frames = predict_frames(
            self._speaker, self._rows, self._pose[:n_frames], fps=self._fps, begins=begins
        )
        self._pose = self._pose[n_frames:]
        self._n_given += n_frames
        self._forget()
        return frames

    def _forget(self) -> None:
        """Drop the rows before all that the next frame hears."""
        next_s = (self._n_given + 0.5) / self._fps + self._speaker.shift + WINDOW_START_S
        n_over = int(next_s * SoundEncoder.ROWS_PER_SECOND) - 1 - self._first_row
        n_over = min(max(n_over, 0), max(len(self._rows) - 1, 0))
        self._rows = self._rows[n_over:]
        self._first_row += n_over


class Begins(NamedTuple):
    """Where a part lies in its speech."""

    frame: int = 0
    row: int = 0


def read_speaker(model: Path) -> Speaker:
    """Read what ``speaker_regressor.fit`` wrote."""
    stored = read_arrays(model / FILE, TABLE)
    by_sound, by_pose, mean = (
        stored[name].astype(np.float64) for name in ("by_sound", "by_pose", "mean")
    )
    return Speaker(
        stored["windows"].astype(np.float32),
        stored["poses"].astype(np.float32),
        by_sound,
        by_pose,
        mean,
        shift=float(stored["shift"]),
    )


def predict_frames(
    speaker: Speaker, rows: F32, pose: F32, *, fps: int, begins: Begins | None = None
) -> F32:
    """Frames with these poses, heard in these rows. [T, P]"""
    begins = begins or Begins()
    times = sound_times(begins.frame + np.arange(len(pose)), fps) + speaker.shift
    times -= begins.row / SoundEncoder.ROWS_PER_SECOND
    predicted = [
        likeness(sound_windows(rows, times[a:b]), speaker.windows) @ speaker.by_sound
        + pose_likeness(pose[a:b], speaker.poses) @ speaker.by_pose
        for a, b in pairwise([*range(0, len(pose), _PART), len(pose)])
    ]
    found = np.concatenate(predicted) if predicted else np.zeros((0, len(speaker.mean)))
    return np.asarray(found + speaker.mean, dtype=np.float32)


def pose_likeness(a: F32, b: F32) -> Floats:
    """Kernel between head poses; it saturates far from all that was seen. [M, 6], [N, 6]"""
    left, right = a.astype(np.float64), b.astype(np.float64)
    linear = left @ right.T / left.shape[1]
    norms = (np.square(left).mean(axis=1)[:, None] + np.square(right).mean(axis=1)) / 2
    return np.asarray(np.exp(np.minimum(linear - norms, 0.0)) + _POSE_LINEAR * linear)


def sound_times(frames: NDArray[np.int64], fps: int) -> Floats:
    """Seconds at the middle of each frame's time on screen."""
    return np.asarray((frames + 0.5) / fps)
