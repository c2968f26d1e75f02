"""Chooses the frames that a report shows, and fetches them without holding the video."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.evaluator.face_crop import Square, cut_square

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

CELL_PX = 192
N_PEAKS = 5
N_PAUSES = 3
N_WORST = 7
PAUSE_APART_S = 0.16
"""A pause is at least this far from a peak."""


class Cell(NamedTuple):
    """One place of a strip."""

    frame: int
    label: str
    """Why it is there."""


class Strip(NamedTuple):
    """Frames to show, in time order, and the part of each."""

    cells: list[Cell]
    video_square: Square
    reference_square: Square | None


class Pictures(NamedTuple):
    """A strip's pictures: one per cell, CELL_PX square."""

    cells: list[Cell]
    video: list[U8]
    reference: list[U8]
    """Empty without a reference."""


def speech_cells(activity: F64, fps: int) -> list[Cell]:
    """The loudest frame of each fifth of the video and the quietest of each third.

    Args:
        activity: Loudness, or mouth opening where there is no sound; one value per frame. [T]
        fps: Frames per second.
    """
    parts = np.array_split(np.arange(len(activity)), N_PEAKS)
    peaks = [int(part[activity[part].argmax()]) for part in parts if part.size]
    quiet = activity.copy()
    reach = round(PAUSE_APART_S * fps)
    for peak in peaks:
        quiet[max(0, peak - reach) : peak + reach + 1] = np.inf
    thirds = np.array_split(np.arange(len(activity)), N_PAUSES)
    pauses = [int(third[quiet[third].argmin()]) for third in thirds if third.size]
    cells = [Cell(frame, "peak") for frame in peaks]
    cells += [Cell(frame, "pause") for frame in pauses if np.isfinite(quiet[frame])]
    return sorted(cells)


def worst_second(values: F64, fps: int, *, unit: str, higher_is_better: bool) -> list[Cell]:
    """Frames of the second with the worst mean, labelled by their values.

    Args:
        values: NaN where there is nothing to go by. [T]
        fps: Frames per second.
        unit: Of the values.
        higher_is_better: Whether the worst second is that with the lowest mean.
    """
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return []
    badness = np.where(np.isfinite(values), -values if higher_is_better else values, np.nan)
    badness = badness[: known[-1] + 1]
    length = min(fps, len(badness))
    found = np.nan_to_num(badness, nan=float(np.nanmin(badness)))
    means = np.convolve(found, np.ones(length) / length, "valid")
    start = int(means.argmax())
    frames = np.unique(np.linspace(start, start + length - 1, N_WORST).round().astype(int))
    return [
        Cell(int(frame), f"{values[frame]:.1f} {unit}" if np.isfinite(values[frame]) else "")
        for frame in frames
    ]


def fetch(strips: dict[str, Strip], pairs: Iterable[tuple[U8, U8 | None]]) -> dict[str, Pictures]:
    """Read all pairs of frames of video and reference and keep the chosen parts.

    The reference begins with the frame that the first video frame is compared with; None where it
    has ended, or where there is none.
    """
    pictures = {name: Pictures(strip.cells, [], []) for name, strip in strips.items()}
    for index, (frame, target) in enumerate(pairs):
        for name, strip in strips.items():
            if not any(cell.frame == index for cell in strip.cells):
                continue
            pictures[name].video.append(cut_square(frame, strip.video_square, CELL_PX))
            if target is not None and strip.reference_square is not None:
                cut = cut_square(target, strip.reference_square, CELL_PX)
                pictures[name].reference.append(cut)
    return pictures
