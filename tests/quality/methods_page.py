"""The comparison of avatar methods for people: two tables, and frames that were held out."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.embedded.run_result import RunResult
from services.evaluator.face_crop import Square, cut_square
from services.evaluator.report_style import CSS
from shared.contracts.artifact import read_manifest
from shared.contracts.scores import Score
from shared.contracts.tracked_dataset import FPS, TrackedDatasetManifest
from shared.landmarks import LIPS
from shared.media.image import write_png
from shared.media.video import read_frames
from shared.plugins import load_plugin

U8 = NDArray[np.uint8]

N_SHOWN = 6
WHOLE_PX, MOUTH_PX = 240, 240
MOUTH_MARGIN = 1.7
"""Side of the shown square over the mouth's width."""


class Trial(NamedTuple):
    """A method, or a method without one of its parts, on one capture."""

    capture: Path
    label: str
    folder: Path
    result: RunResult
    memory_mib: float


def write_page(out: Path, trials: list[Trial]) -> None:
    """Write ``tables.md``, two strips of frames per subject, and all of it as ``index.html``."""
    subjects = list(dict.fromkeys(trial.capture for trial in trials))
    tables, pictures = [], []
    for capture in subjects:
        ours = [trial for trial in trials if trial.capture == capture]
        tables.append(f"{capture.stem}\n\n{quality_table(ours)}\n{cost_table(ours)}")
        for kind, strip in strips(capture, ours).items():
            name = f"{capture.stem}_{kind}.png"
            write_png(out / name, strip)
            rows = ", ".join(["the capture", *(trial.label for trial in ours)])
            pictures.append(f"<h2>{capture.stem}, {kind}</h2><p>{rows}</p><img src='{name}'>")
    told = "\n".join(tables)
    (out / "tables.md").write_text(told, encoding="utf-8")
    (out / "index.html").write_text(
        f"<!doctype html><meta charset='utf-8'><title>Avatar methods</title><style>{CSS}</style>"
        f"<main><h1>Avatar methods</h1><pre>{told}</pre>{''.join(pictures)}</main>\n",
        encoding="utf-8",
    )


def quality_table(trials: list[Trial]) -> str:
    """Spoken, with the selfdriven picture beside it."""
    head = ["method", "PSNR (worst frame)", "SSIM", "selfdriven", "LMD / `mean_mouth`"]
    head += ["`opening_corr`, lag", "crossed lips", "transparent", "uncovered", "stretch p99"]
    rows = []
    for trial in trials:
        spoken, driven = (trial.result.scores[kind].scores for kind in ("spoken", "selfdriven"))
        lmd, opening = spoken["lmd"], spoken["opening_corr"]
        mean_mouth = lmd.baselines.get("mean_mouth", float("nan"))
        ratio = lmd.details.get("ratio_to_mean_mouth", float("nan"))
        counts = ("lip_crossings", "transparent_pixels", "uncovered_pixels")
        rows.append(
            [
                f"`{trial.label}`",
                f"{told(spoken['psnr'], 2)} dB ({spoken['psnr'].worst or float('nan'):.1f})",
                told(spoken["ssim"], 3),
                f"{told(driven['psnr'], 2)} dB, {told(driven['ssim'], 3)}",
                f"{ratio:.2f} ({told(lmd, 2)} of {mean_mouth:.2f} px)",
                f"{told(opening, 2)}, {opening.details.get('lag_frames', float('nan')):+.0f}",
                *(told(spoken[name], 0) for name in counts),
                told(spoken["stretch_p99"], 2),
            ]
        )
    return markdown(head, rows)


def cost_table(trials: list[Trial]) -> str:
    """Time and memory."""
    head = ["method", "training", "render, pose to mp4", "peak memory above imports"]
    rows = [
        [
            f"`{trial.label}`",
            f"{trial.result.seconds['train']:.0f} s",
            f"{told(trial.result.scores['spoken'].scores['fps'], 0)} fps",
            f"{trial.memory_mib:.0f} MiB",
        ]
        for trial in trials
    ]
    return markdown(head, rows)


def told(score: Score, digits: int) -> str:
    """A figure, or that there is none."""
    return "-" if score.value is None else f"{score.value:.{digits}f}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table as ARCHITECTURE.md has them."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def strips(capture: Path, trials: list[Trial]) -> dict[str, U8]:
    """Held-out frames of the capture above those of every trial: whole, and the mouth alone."""
    about = read_manifest(trials[0].folder / "dataset", TrackedDatasetManifest)
    places = np.linspace(0, about.n_frames - about.n_train - 1, N_SHOWN + 2).round()[1:-1]
    shown = [int(place) for place in places]
    truth = list(chosen(capture, [about.n_train + frame for frame in shown]))
    rows = [truth] + [list(chosen(trial.folder / "heldout.mp4", shown)) for trial in trials]
    height, width = truth[0].shape[:2]
    whole = Square((width - min(width, height)) / 2, 0, min(width, height))
    mouths = mouth_squares(truth)
    return {
        "whole": np.vstack(
            [np.hstack([cut_square(f, whole, WHOLE_PX) for f in row]) for row in rows]
        ),
        "mouth": np.vstack(
            [
                np.hstack([cut_square(f, s, MOUTH_PX) for f, s in zip(row, mouths, strict=True)])
                for row in rows
            ]
        ),
    }


def chosen(video: Path, frames: list[int]) -> Iterator[U8]:
    """Some frames of a video, in order."""
    wanted = set(frames)
    for number, frame in enumerate(islice(read_frames(video, FPS), max(frames) + 1)):
        if number in wanted:
            yield frame


def mouth_squares(frames: list[U8]) -> list[Square]:
    """Where the mouth is in each frame; the middle of the frame without a face."""
    squares = []
    for frame, found in zip(
        frames,
        load_plugin("shared.trackers", "mediapipe_mesh").track_landmarks(frames),
        strict=True,
    ):
        lips = (
            np.array([[frame.shape[1], frame.shape[0]]]) / 2 if found is None else found[LIPS, :2]
        )
        side = MOUTH_MARGIN * float(np.ptp(lips[:, 0])) or 64.0
        x, y = lips.mean(0)
        squares.append(Square(float(x) - side / 2, float(y) - side / 2, side))
    return squares
