"""The report: one HTML file that needs nothing else, for people who judge a video."""

import base64
import io
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.evaluator.charts import bar_rows
from services.evaluator.curves import Curves
from services.evaluator.report_charts import mouth_chart, offset_charts, picture_chart
from services.evaluator.report_style import CSS
from services.evaluator.report_tables import (
    FIRST,
    artefact_table,
    number,
    score_table,
    unavailable_table,
)
from services.evaluator.showing import Shown
from services.evaluator.strips import Cell, Pictures
from shared.contracts.scores import Score, ScoresManifest
from shared.contracts.tracked_dataset import FPS

U8 = NDArray[np.uint8]

MAX_EMBEDDED = 8_000_000
"""Bytes of the film of the face up to which it lies in the page itself."""


class Definition(NamedTuple):
    """What a figure is."""

    meaning: str
    bounds: tuple[float | None, float | None]
    """Least and greatest value, None without a bound."""
    source: str
    """Who defined it; empty for the platform's own counts."""


class Report(NamedTuple):
    """All that the page shows."""

    title: str
    notes: list[str]
    size: tuple[int, int]
    """Of the video, in pixels."""
    manifest: ScoresManifest
    definitions: dict[str, Definition]
    """What each figure is."""
    curves: Curves
    shown: Shown
    stage_seconds: dict[str, float]


def write_report(path: Path, report: Report) -> None:
    """Write the page."""
    sections = [
        _header(report),
        _speech_strip(report),
        _face_video(report.shown.face_video, report.curves),
        mouth_chart(report.curves),
        offset_charts(report.curves),
        score_table(report.manifest.scores, report.definitions),
        picture_chart(report.curves, _worst_cells(report)),
        _worst_second(report),
        artefact_table(report.manifest.scores, report.definitions),
        _stages(report.stage_seconds),
        unavailable_table(report.manifest.scores),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(sections)}"
        "<footer>Written by Talksplat. Figures are defined in the documentation; "
        "the same numbers are in scores.json, per frame in curves.npz.</footer>"
        "</main></body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _header(report: Report) -> str:
    n_frames = len(report.curves.opening)
    width, height = report.size
    compared = (
        f"compared with {report.manifest.n_frames} frames of the capture"
        if report.curves.reference_opening is not None
        else "no capture to compare with"
    )
    cards = "".join(
        _card(name, report.manifest.scores[name])
        for name in FIRST
        if name in report.manifest.scores and report.manifest.scores[name].value is not None
    )
    notes = "".join(f'<p class="soft">{escape(note)}</p>' for note in report.notes)
    return (
        f"<h1>{escape(report.title)}</h1>"
        f'<p class="lead">{n_frames} frames, {n_frames / FPS:.1f} s at {FPS} frames per second, '
        f"{width} × {height} pixels; {compared}.</p>{notes}"
        f'<div class="cards">{cards}</div>'
    )


def _card(name: str, score: Score) -> str:
    unit = "" if score.unit == "1" else f" <small>{escape(score.unit)}</small>"
    value = number(score.value)
    beside = ""
    if "mean_mouth" in score.baselines:
        beside = f", mean mouth {number(score.baselines['mean_mouth'])}"
    return f'<div class="card"><b>{value}{unit}</b><span>{escape(name)}{beside}</span></div>'


def _speech_strip(report: Report) -> str:
    pictures = report.shown.strips.get("speech")
    if pictures is None or not pictures.cells:
        return ""
    by = "loudest moment" if report.curves.loudness is not None else "widest mouth"
    return (
        f"<h2>Peaks and pauses</h2><p>The {by} of each part of the video, and the quietest.</p>"
        + _strip(pictures)
        + _whole_strip(report)
    )


def _whole_strip(report: Report) -> str:
    """Hair, neck, torso and background, where no worst second shows them."""
    pictures = report.shown.strips.get("whole")
    if pictures is None or not pictures.cells:
        return ""
    return "<p>All of the picture at the same moments.</p>" + _strip(pictures)


def _face_video(path: Path | None, curves: Curves) -> str:
    """The film of the face inside the page, or beside it where it is large."""
    if path is None:
        return ""
    is_small = path.stat().st_size <= MAX_EMBEDDED
    source = (
        "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
        if is_small
        else path.name
    )
    capture = "" if curves.reference_opening is None else "; the capture on the left"
    beside = "" if is_small else f" It is long, so it lies beside this page, as {path.name}."
    return (
        f"<h2>The face</h2><p>With its sound{capture}.{beside}</p>"
        f'<video class="face" controls preload="metadata" src="{source}"></video>'
    )


def _worst_cells(report: Report) -> list[Cell]:
    pictures = report.shown.strips.get("worst")
    return pictures.cells if pictures else []


def _worst_second(report: Report) -> str:
    pictures = report.shown.strips.get("worst")
    if not pictures or not pictures.cells:
        return ""
    by = "the lowest mean PSNR; below, what differs, three times as bright"
    if report.curves.psnr is None:
        by = "the one in which the face shakes most from frame to frame"
    return (
        f"<h2>The worst second</h2><p>From {pictures.cells[0].frame / FPS:.1f} s on, {by}.</p>"
        f"{_strip(pictures, difference=3)}"
    )


def _stages(stage_seconds: dict[str, float]) -> str:
    if not stage_seconds:
        return ""
    total = sum(stage_seconds.values())
    return f"<h2>Time</h2><p>{total:.0f} s in all, or {total / 60:.1f} minutes.</p>" + bar_rows(
        stage_seconds, "s"
    )


def _strip(pictures: Pictures, difference: int = 0) -> str:
    captions = [f"{cell.frame / FPS:.2f} s, {cell.label}" for cell in pictures.cells]
    blank = [""] * len(captions)
    parts = []
    if pictures.reference:
        parts += ['<p class="side reference">capture</p>', _row(pictures.reference, blank)]
    parts += ['<p class="side video">avatar</p>', _row(pictures.video, captions)]
    if difference and pictures.reference:
        pairs = zip(pictures.video, pictures.reference, strict=False)
        gaps = [
            np.clip(difference * np.abs(a.astype(np.int16) - b), 0, 255).astype(np.uint8)
            for a, b in pairs
        ]
        parts += ['<p class="side">difference</p>', _row(gaps, [""] * len(gaps))]
    return f'<div class="strip scroll">{"".join(parts)}</div>'


def _row(images: list[U8], captions: list[str]) -> str:
    figures = "".join(
        f'<figure><img alt="" src="{data_uri(image)}">'
        + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "")
        + "</figure>"
        for image, caption in zip(images, captions, strict=False)
    )
    return f'<div class="row">{figures}</div>'


def data_uri(image: U8) -> str:
    """A picture inside the page, as PNG. [H, W, 3]"""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
