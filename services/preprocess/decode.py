"""First pass over a capture: landmarks of every frame, and small pictures to find cuts with."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.contracts.tracked_dataset import FPS
from shared.landmarks import N_LANDMARKS
from shared.media.video import VideoInfo, read_timed_frames
from shared.progress import Progress
from shared.tracker import Tracker

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

THUMBNAIL = (64, 36)
"""Width and height of the pictures kept for finding cuts."""


class TrackedCapture(NamedTuple):
    """What the first pass found, in capture pixels."""

    landmarks: F32  # [T, 478, 3], NaN where no face was found
    late_s: F32  # [T] time of the decoded frame less the time it stands for
    thumbnails: U8  # [T, 36, 64, 3]


def track_capture(
    capture: Path, tracker: Tracker, info: VideoInfo, progress: Progress
) -> TrackedCapture:
    """Decode the whole capture at 25 fps and track the face; holds one frame at a time."""
    late: list[float] = []
    thumbnails: list[U8] = []
    n_expected = max(info.duration_s * FPS, 1.0)

    def frames() -> Iterator[U8]:
        for index, frame in enumerate(read_timed_frames(capture, FPS)):
            late.append(frame.source_s - index / FPS)
            small = cv2.resize(frame.image, THUMBNAIL, interpolation=cv2.INTER_AREA)
            thumbnails.append(np.asarray(small, dtype=np.uint8))
            progress(min(index / n_expected, 1.0), f"tracking the face, frame {index}")
            yield frame.image

    missing = np.full((N_LANDMARKS, 3), np.nan, dtype=np.float32)
    landmarks = [missing if found is None else found for found in tracker.track_landmarks(frames())]
    return TrackedCapture(
        landmarks=np.stack(landmarks) if landmarks else np.zeros((0, N_LANDMARKS, 3), np.float32),
        late_s=np.array(late, dtype=np.float32),
        thumbnails=np.stack(thumbnails)
        if thumbnails
        else np.zeros((0, *THUMBNAIL[::-1], 3), np.uint8),
    )
