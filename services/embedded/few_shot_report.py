"""The few-shot experiment as one page: a chart and a table per figure."""

from html import escape
from pathlib import Path

from services.embedded.few_shot import JUDGED, Trial
from services.evaluator.charts import nice_ticks
from services.evaluator.report_style import CSS

_WIDTH, _HEIGHT = 460, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 30, 54
_LETTER = 12
"""Height of a label."""
_WORDS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "lmd": "lip landmark distance, px at 512 px height",
    "opening_corr": "correlation of the mouth's opening",
}

Points = list[tuple[float, float]]


def write_few_shot_report(path: Path, trials: list[Trial]) -> None:
    """Write the page."""
    sections = "".join(_section(name, trials) for name in JUDGED)
    subjects = ", ".join(dict.fromkeys(trial.subject for trial in trials))
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Few-shot experiment</title>'
        f"<style>{CSS}</style><main><h1>How few seconds are enough?</h1>"
        '<p class="lead">Training length against the scores of unseen frames, spoken from their '
        "sound and head pose alone. All lengths of a subject are judged on the same frames. "
        f"Subjects: {escape(subjects)}.</p>{sections}</main></html>\n",
        encoding="utf-8",
    )


def curves(name: str, trials: list[Trial]) -> dict[str, Points]:
    """Value by training length for each subject; without what could not be computed."""
    found: dict[str, Points] = {}
    for trial in sorted(trials, key=lambda trial: trial.training_seconds):
        score = trial.scores.get(name)
        if score is not None and score.value is not None:
            point = (trial.training_seconds, score.value)
            found.setdefault(trial.subject, []).append(point)
    return found


def worst_subject(name: str, trials: list[Trial]) -> str | None:
    """Whose figure is worst at the longest training."""
    last = {subject: points[-1][1] for subject, points in curves(name, trials).items()}
    if not last:
        return None
    signs = {bool(trial.scores[name].higher_is_better) for trial in trials if name in trial.scores}
    return min(last, key=lambda subject: last[subject] if True in signs else -last[subject])


def _section(name: str, trials: list[Trial]) -> str:
    lines = curves(name, trials)
    if not lines:
        return ""
    worst = worst_subject(name, trials)
    return (
        f"<h2>{escape(_WORDS[name])}</h2>{_chart(lines, worst)}"
        f'<div class="scroll">{_table(name, lines, worst, trials)}</div>'
    )


def _table(name: str, lines: dict[str, Points], worst: str | None, trials: list[Trial]) -> str:
    lengths = sorted({trial.training_seconds for trial in trials})
    head = "".join(f"<th>{length:g} s</th>" for length in lengths)
    rows = ""
    for subject, points in lines.items():
        values = dict(points)
        cells = "".join(_cell(name, subject, length, values, trials) for length in lengths)
        mark = ' <span class="worse">worst</span>' if subject == worst and len(lines) > 1 else ""
        rows += f'<tr><th scope="row">{escape(subject)}{mark}</th>{cells}</tr>'
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(
    name: str, subject: str, length: float, values: dict[float, float], trials: list[Trial]
) -> str:
    if length not in values:
        return '<td class="figure">-</td>'
    trial = next(t for t in trials if (t.subject, t.training_seconds) == (subject, length))
    baselines = trial.scores[name].baselines
    said = ", ".join(f"{escape(key)} {value:.2f}" for key, value in baselines.items())
    note = f'<span class="what">{said}</span>' if said else ""
    return f'<td class="figure">{values[length]:.3f}{note}</td>'


def _chart(lines: dict[str, Points], worst: str | None) -> str:
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    ticks = nice_ticks(min(ys), max(ys))
    low, high = min(*ys, ticks[0]), max(*ys, ticks[-1])
    x_low, x_high = min(xs), max(xs)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / max(x_high - x_low, 1e-9)
        up = (y - low) / max(high - low, 1e-9)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [f'<svg class="chart" style="max-width:{_WIDTH}px" viewBox="0 0 {_WIDTH} {_HEIGHT}">']
    for tick in ticks:
        _, y = place(x_low, tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for length in sorted(set(xs)):
        x, _ = place(length, low)
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">'
            f"{length:g} s</text>"
        )
    for subject, points in lines.items():
        style = "video" if subject == worst else "reference"
        spots = [place(x, y) for x, y in points]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        parts.append(
            f'<path class="line {style}" d="{path}"><title>{escape(subject)}</title></path>'
        )
        parts += [
            f'<circle class="line {style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots
        ]
        x, y = spots[-1]
        # On the side that the curve does not come from; the margins leave room for both.
        rises = len(spots) == 1 or spots[-2][1] >= y
        label = y - 9 if rises else y + 9 + _LETTER / 2
        parts.append(
            f'<text class="tick name" x="{x - 6:.1f}" y="{label:.1f}" text-anchor="end">'
            f"{escape(subject)}</text>"
        )
    return "".join([*parts, "</svg>"])
