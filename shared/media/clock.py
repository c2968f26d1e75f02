"""Chooses from frames at any times those for a regular clock."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np

F = TypeVar("F")


def resample(
    frames: Iterator[tuple[float, F]], fps: float, announced_end_s: float
) -> Iterator[tuple[float, F]]:
    """Choose for each tick i / ``fps`` the frame nearest in time.

    Args:
        frames: Time since the first frame, seconds, and frame; a frame that is not later than
            the one before is left out.
        fps: Ticks per second.
        announced_end_s: When the container says that the frames end.

    Yields:
        The chosen frame with its own time.
    """
    first = next(frames, None)
    if first is None:
        return
    time, frame = first
    tick = 0
    gaps: list[float] = []
    for next_time, next_frame in frames:
        if next_time <= time:
            continue
        gaps.append(next_time - time)
        while tick / fps <= (time + next_time) / 2:
            yield time, frame
            tick += 1
        time, frame = next_time, next_frame
    # A tick exists when at least half of its period is covered.
    n_ticks = int(_end_of_last(time, gaps or [1.0 / fps], announced_end_s) * fps + 0.5)
    for _ in range(tick, n_ticks):
        yield time, frame


def _end_of_last(last_s: float, gaps: list[float], announced_end_s: float) -> float:
    """When the last frame ends: its usual period, or as announced within the longest gap seen.

    A container with a variable rate does not store how long its last frame stands.
    """
    return max(last_s + float(np.median(gaps)), min(announced_end_s, last_s + max(gaps)))
