"""The tracker contract: finds faces and their landmarks in frames.

One module per tracker in ``shared/trackers/``; the file name is the registry name.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class FaceBox(NamedTuple):
    """A face found by a detector, in pixels of the frame."""

    left: float
    top: float
    width: float
    height: float
    score: float
    """Confidence, 0 to 1."""


class Tracker(Protocol):
    """What a tracker module offers."""

    def detect_faces(self, frames: Iterable[U8]) -> Iterator[list[FaceBox]]:
        """Yield all faces of each RGB frame [H, W, 3], the largest first; frames are unrelated."""
        ...

    def track_landmarks(self, frames: Iterable[U8]) -> Iterator[F32 | None]:
        """Yield the face's landmarks in each frame of a video, None where it is not found.

        Landmarks are MediaPipe's 478 with irises, x right, y down, z away from the camera, in
        pixels of the frame, z on the same scale as x. [478, 3]
        """
        ...
