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


def worst_second(psnr: F64, fps: int) -> list[Cell]:
    """Frames of the second with the lowest mean PSNR. [T], NaN where nothing was compared"""
    compared = np.flatnonzero(np.isfinite(psnr))
    if not compared.size:
        return []
    values = psnr[: compared[-1] + 1]
    length = min(fps, len(values))
    means = np.convolve(np.nan_to_num(values, nan=100.0), np.ones(length) / length, "valid")
    start = int(means.argmin())
    frames = np.unique(np.linspace(start, start + length - 1, N_WORST).round().astype(int))
    return [Cell(int(frame), f"{values[frame]:.1f} dB") for frame in frames]


def fetch(
    strips: dict[str, Strip], video: Iterable[U8], reference: Iterable[U8]
) -> dict[str, Pictures]:
    """Read both videos once more and keep the chosen parts.

    ``reference`` begins with the frame that the first video frame is compared with; it may be
    empty.
    """
    pictures = {name: Pictures(strip.cells, [], []) for name, strip in strips.items()}
    last = max((cell.frame for strip in strips.values() for cell in strip.cells), default=-1)
    sources = (("video", video), ("reference", reference))
    for source, frames in sources:
        for index, frame in zip(range(last + 1), frames, strict=False):
            for name, strip in strips.items():
                square = strip.video_square if source == "video" else strip.reference_square
                if square is not None and any(cell.frame == index for cell in strip.cells):
                    getattr(pictures[name], source).append(cut_square(frame, square, CELL_PX))
    return pictures
