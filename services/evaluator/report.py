"""The report: one HTML file that needs nothing else, for people who judge a video."""

import base64
import io
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.evaluator.charts import Band, Line, bar_rows, line_chart
from services.evaluator.report_style import CSS
from services.evaluator.strips import Cell, Pictures
from shared.contracts.scores import Score, ScoresManifest
from shared.contracts.tracked_dataset import FPS

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

CARDS = ("psnr", "ssim", "lmd", "opening_corr", "av_offset", "fps")
"""Scores shown large on top, where they have a value."""
ARTEFACTS = ("lip_crossings", "transparent_pixels", "uncovered_pixels", "stretch_p99")
BASELINE_WORDS = {
    "mean_mouth": "mean mouth",
    "still": "still mouth",
    "late": "truth, one frame late",
    "capture": "the capture itself",
}


class Curves(NamedTuple):
    """Per-frame values; also stored as ``curves.npz``."""

    opening: F64  # [T] mouth opening of the video
    reference_opening: F64 | None  # [T] of the capture
    loudness: F64 | None  # [T] 0 to 1
    psnr: F64 | None  # [T] dB
    ssim: F64 | None  # [T]
    lip_distance: F64 | None  # [T] px at 512 px height


class Report(NamedTuple):
    """All that the page shows."""

    title: str
    notes: list[str]
    size: tuple[int, int]
    """Of the video, in pixels."""
    manifest: ScoresManifest
    descriptions: dict[str, str]
    """What each figure is."""
    curves: Curves
    strips: dict[str, Pictures]
    stage_seconds: dict[str, float]


def write_report(path: Path, report: Report) -> None:
    """Write the page."""
    sections = [
        _header(report),
        _speech_strip(report),
        _mouth(report.curves),
        _scores(report),
        _picture(report),
        _artefacts(report),
        _stages(report.stage_seconds),
        _unavailable(report),
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
        for name in CARDS
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


def _scores(report: Report) -> str:
    rows = "".join(
        _score_row(name, score, report.descriptions.get(name, ""))
        for name, score in sorted(report.manifest.scores.items(), key=_place)
        if name not in ARTEFACTS and score.value is not None
    )
    return (
        "<h2>Scores</h2>"
        "<p>Baselines are trivial answers of the same run: green figures are worse than ours, "
        "red ones better.</p>"
        '<div class="scroll"><table><thead><tr><th>Figure</th><th>Value</th><th>Worst frame</th>'
        f"<th>Baselines</th><th>Details</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _place(item: tuple[str, Score]) -> tuple[int, str]:
    """The cards' order first, then the alphabet's."""
    return (CARDS.index(item[0]) if item[0] in CARDS else len(CARDS), item[0])


def _score_row(name: str, score: Score, description: str) -> str:
    unit = "" if score.unit == "1" else f" {escape(score.unit)}"
    arrow = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
    worst = "" if score.worst is None else number(score.worst)
    baselines = "<br>".join(
        f'{escape(BASELINE_WORDS.get(key, key))} <span class="{_against(score, value)}">'
        f"{number(value)}</span>"
        for key, value in score.baselines.items()
    )
    details = "<br>".join(
        f"{escape(key.replace('_', ' '))} {number(value)}"
        for key, value in score.details.items()
        if value or not key.startswith("n_")
    )
    return (
        f'<tr><th scope="row">{escape(name)}{arrow}</th>'
        f'<td class="figure">{number(score.value)}{unit}</td><td class="figure">{worst}</td>'
        f'<td class="figure">{baselines}</td>'
        f'<td>{details}<span class="what">{escape(description)}</span></td></tr>'
    )


def _against(score: Score, baseline: float) -> str:
    """How a baseline's figure is coloured: beaten, or not."""
    if score.higher_is_better is None or score.value is None:
        return ""
    is_beaten = score.value > baseline if score.higher_is_better else score.value < baseline
    return "better" if is_beaten else "worse"


def _speech_strip(report: Report) -> str:
    pictures = report.strips.get("speech")
    if pictures is None or not pictures.cells:
        return ""
    by = "loudest moment" if report.curves.loudness is not None else "widest mouth"
    return (
        f"<h2>Peaks and pauses</h2><p>The {by} of each part of the video, and the quietest.</p>"
        + _strip(pictures)
    )


def _mouth(curves: Curves) -> str:
    lines = [Line("avatar", curves.opening, "video")]
    if curves.reference_opening is not None:
        lines.insert(0, Line("capture", curves.reference_opening, "reference"))
    chart = line_chart(lines, FPS, area=curves.loudness, floor=0.0)
    if not chart:
        return ""
    return (
        "<h2>Mouth opening</h2><p>Distance of the inner lips over the distance of the outer eye "
        f"corners, frame by frame.</p>{chart}"
    )


def _picture(report: Report) -> str:
    psnr = report.curves.psnr
    if psnr is None or not psnr.size:
        return ""
    pictures = report.strips.get("worst")
    cells = pictures.cells if pictures else []
    band = _band(cells)
    chart = line_chart([Line("PSNR in dB", psnr, "video")], FPS, band=band)
    worst = ""
    if pictures and cells:
        worst = (
            f"<h2>The worst second</h2><p>From {cells[0].frame / FPS:.1f} s on, the lowest mean "
            f"PSNR; below, what differs, three times as bright.</p>{_strip(pictures, difference=3)}"
        )
    return f"<h2>Picture, frame by frame</h2>{chart}{worst}"


def _band(cells: list[Cell]) -> Band | None:
    if not cells:
        return None
    return Band(cells[0].frame / FPS, cells[-1].frame / FPS, "worst second")


def _artefacts(report: Report) -> str:
    rows = []
    for name in ARTEFACTS:
        score = report.manifest.scores.get(name)
        if score is None or score.value is None:
            continue
        unit = "" if score.unit == "1" else f" {escape(score.unit)}"
        is_clean = score.value == 0 or name == "stretch_p99"
        tone = "" if name == "stretch_p99" else ("better" if is_clean else "worse")
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th>'
            f'<td class="figure {tone}">{number(score.value)}{unit}</td>'
            f'<td class="figure">{"" if score.worst is None else number(score.worst)}</td>'
            f"<td>{escape(report.descriptions.get(name, ''))}</td></tr>"
        )
    if not rows:
        return ""
    return (
        '<h2>Artefacts</h2><div class="scroll"><table><thead><tr><th>Figure</th><th>Value</th>'
        f"<th>Worst frame</th><th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _stages(stage_seconds: dict[str, float]) -> str:
    if not stage_seconds:
        return ""
    total = sum(stage_seconds.values())
    return f"<h2>Time</h2><p>{total:.0f} s in all, or {total / 60:.1f} minutes.</p>" + bar_rows(
        stage_seconds, "s"
    )


def _unavailable(report: Report) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(score.unavailable)}</td></tr>'
        for name, score in report.manifest.scores.items()
        if score.unavailable
    )
    if not rows:
        return ""
    return f"<h2>Not available</h2><table><tbody>{rows}</tbody></table>"


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


def number(value: float | None) -> str:
    """About three significant digits, as people write them."""
    if value is None:
        return ""
    if value == round(value) and abs(value) < 1e6:  # noqa: PLR2004 - counts stay whole
        return f"{value:.0f}"
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 1 else 3  # noqa: PLR2004
    return f"{value:.{digits}f}"
