"""Plays a capture's frames for any length without a jump: to the end, back, and again.

Where the direction turns, speed falls to zero and rises again, so that neither place nor
velocity jumps.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_TURN_S = 0.4
"""Time in which the motion turns round."""


def loop_places(n_source: int, n_frames: int, *, source_fps: int, fps: int, start: float) -> F32:
    """Which source frame, with a fraction, is shown at each frame.

    Args:
        n_source: Frames of the capture.
        n_frames: Frames wanted.
        source_fps: Frame rate of the capture.
        fps: Frame rate wanted.
        start: Where to begin, as a share of a whole cycle, 0 to 1.

    Returns:
        0 to ``n_source - 1``. [n_frames]
    """
    if n_source < 2:  # noqa: PLR2004 - one frame cannot move
        return np.zeros(n_frames, np.float32)
    length_s = (n_source - 1) / source_fps
    turn_s = min(_TURN_S, length_s / 2)
    times = np.arange(n_frames) / fps
    # At full speed but for the turns, one way takes half a turn longer than the frames do.
    one_way_s = length_s + turn_s / 2
    phase = np.mod(times / (2 * one_way_s) + start, 1.0) * 2 * one_way_s
    there = np.where(phase <= one_way_s, phase, 2 * one_way_s - phase)
    return (_eased(there, one_way_s, turn_s) * source_fps).clip(0, n_source - 1).astype(np.float32)


def loop_track(track: F32, places: F32) -> F32:
    """Interpolate a track at fractional frames. [N, D], [T] -> [T, D]"""
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(track) - 1)
    share = (places - below)[:, None]
    return np.asarray(track[below] * (1 - share) + track[above] * share, dtype=np.float32)


def _eased(time: NDArray[np.float64], whole: float, turn: float) -> NDArray[np.float64]:
    """Distance covered at unit speed, rising from zero and falling to zero within half turns."""
    half = turn / 2
    from_start = np.minimum(time, half) ** 2 / (2 * half)
    cruise = np.clip(time - half, 0, whole - turn)
    left = np.clip(time - (whole - half), 0, half)
    return from_start + cruise + left - left**2 / (2 * half)
