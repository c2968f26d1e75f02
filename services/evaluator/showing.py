"""The second look at both videos: pictures for the report, and the film of the face."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.evaluator.curves import Curves
from services.evaluator.face_crop import Square, face_square, mid_square
from services.evaluator.face_video import FILE, FaceFilm, Pair, Sides, follow_face
from services.evaluator.gather import Sight, reference_frames
from services.evaluator.looked import Looked
from services.evaluator.strips import Pictures, Strip, fetch, speech_cells, worst_second
from shared.contracts.tracked_dataset import FPS
from shared.media.video import read_frames
from shared.progress import Progress

FACE_MARGIN = 1.25


class Shown(NamedTuple):
    """What there is to look at."""

    strips: dict[str, Pictures]
    face_video: Path | None
    """None where no face was found."""


def show(looked: Looked, curves: Curves, out: Path, progress: Progress) -> Shown:
    """Cut strips and film the face while both videos are read once more."""
    sight = looked.sight
    pairs = _pairs(looked, progress)
    strips = choose_strips(sight, curves)
    judged = follow_face(sight.video.landmarks)
    if judged is None:
        return Shown(fetch(strips, pairs), None)
    truth = follow_face(sight.reference.landmarks) if sight.reference else None
    with FaceFilm(out / FILE, Sides(judged, truth), looked.audio) as film:
        return Shown(fetch(strips, film.watch(pairs)), out / FILE)


def choose_strips(sight: Sight, curves: Curves) -> dict[str, Strip]:
    """The face at speech peaks and pauses, and all of the picture in the worst second.

    The worst second is the one with the lowest PSNR; without a reference, the one in which the face
    shakes most.
    """
    sides = [(sight.video, sight.video_size), (sight.reference, sight.reference_size)]
    faces: list[Square | None] = []
    wholes: list[Square | None] = []
    for track, size in sides:
        whole = mid_square(*size) if size else None
        face = face_square(track.landmarks, FACE_MARGIN) if track else None
        wholes.append(whole)
        faces.append(face or whole)
    activity = curves.opening if curves.loudness is None else curves.loudness
    n_paired = min(len(each.landmarks) for each, _ in sides if each is not None)
    cells = speech_cells(np.nan_to_num(activity[:n_paired]), FPS)
    strips: dict[str, Strip] = {}
    if faces[0] is not None:
        strips["speech"] = Strip(cells, faces[0], faces[1])
    if wholes[0] is not None:
        if curves.psnr is not None:
            worst = worst_second(curves.psnr, FPS, unit="dB", higher_is_better=True)
        else:
            worst = worst_second(curves.shaking, FPS, unit="px", higher_is_better=False)
        kind = "worst" if worst else "whole"
        strips[kind] = Strip(worst or cells, wholes[0], wholes[1])
    return strips


def _pairs(looked: Looked, progress: Progress) -> Iterator[Pair]:
    """Frames of both videos side by side, to the end of the first."""
    n_frames = max(len(looked.sight.video.landmarks), 1)
    others = reference_frames(*looked.reference) if looked.reference else iter(())
    frames = read_frames(looked.video, FPS)

    def read() -> Pair | None:
        frame = next(frames, None)
        return None if frame is None else (frame, next(others, None))

    with ThreadPoolExecutor(max_workers=1) as ahead:  # decodes while the last pair is encoded
        coming = ahead.submit(read)
        number = 0
        while (pair := coming.result()) is not None:
            coming = ahead.submit(read)
            progress(min(1.0, number / n_frames), "cutting strips")
            yield pair
            number += 1
