"""Motion models that speak while they listen: frames come as soon as nothing can change them.

Frames are those of ``predict`` on the whole recording, when the levels that the stream was opened
with are those of the whole recording. With levels of other seconds of the same voice and
microphone they are what ``predict`` would give at those levels. What follows a model in
``services.audio2motion.speaking`` (liveliness, pauses) looks at the whole recording and is no part
of this.
"""

from pathlib import Path
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class MotionStream(Protocol):
    """One speech."""

    def push(self, audio: F32, pose: F32) -> F32:
        """Hear more, and give the frames that nothing later can change.

        Args:
            audio: 16 kHz mono, what follows the last chunk. [n]
            pose: Head pose of further frames, as deviations; they may be ahead. [m, 6]

        Returns:
            Further frames, as many as are settled and have a pose. [T, P]
        """
        ...

    def finish(self, pose: F32) -> F32:
        """The frames that remain, now that nothing more is said. [m, 6] -> [T, P]"""
        ...


class StreamingMotionModel(Protocol):
    """What a motion model module offers besides, if it can."""

    LOOK_AHEAD_S: float
    """How much sound after its middle a frame waits for, in seconds."""

    def open_stream(self, model: Path, like: F32, *, fps: int) -> MotionStream:
        """Begin a speech.

        Args:
            model: What ``fit`` wrote.
            like: Sound whose levels are taken: the same voice and microphone. [samples]
            fps: Frames per second.
        """
        ...


def is_streaming(module: object) -> TypeGuard[StreamingMotionModel]:
    """Whether a motion model module can speak while it listens."""
    return hasattr(module, "open_stream")
