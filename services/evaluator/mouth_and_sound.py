"""A mouth that opens and the sound beside it, compared without any trained weights."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.landmarks import mouth_opening
from shared.media import av_sync

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


class OffsetCurve(NamedTuple):
    """Correlation of mouth and sound at each shift."""

    offsets_ms: F64  # [K] positive when the sound is late
    correlation: F64  # [K] 0 to 1

    @property
    def best(self) -> float:
        """The greatest correlation."""
        return float(self.correlation.max())

    @property
    def best_ms(self) -> float:
        """Where it is."""
        return float(self.offsets_ms[self.correlation.argmax()])


def offset_curve(audio: F32, landmarks: F32, fps: int) -> OffsetCurve | None:
    """Compare at every shift within half a second.

    Args:
        audio: 16 kHz mono on the video's clock. [n]
        landmarks: NaN where no face was found. [T, 478, 3]
        fps: Frames per second.

    Returns:
        None when there is too little of either, silence, or a mouth that does not move.
    """
    opening = bridged_opening(landmarks)
    curve = None if opening is None else av_sync.offset_curve(audio, opening, fps)
    if curve is None:
        return None
    return OffsetCurve(curve.offsets_ms, np.sqrt(np.clip(curve.explained, 0.0, 1.0)))


def bridged_opening(landmarks: F32) -> F32 | None:
    """Mouth opening with the gaps between found faces bridged; None when none was found. [T]"""
    opening = mouth_opening(landmarks)
    frames = np.arange(len(opening))
    seen = np.isfinite(opening)
    if not seen.any():
        return None
    return np.interp(frames, frames[seen], opening[seen]).astype(np.float32)
