"""Line and bar charts as inline SVG, coloured by the page's own style sheet."""

from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WIDTH, HEIGHT = 960, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 26
_EDGE = 14
"""Half the width of a label, in the same units."""


class Line(NamedTuple):
    """One curve; NaN leaves a gap."""

    name: str
    values: F64
    style: str
    """Class of the style sheet: video, reference or quiet."""


class Band(NamedTuple):
    """A span of time to point out, in seconds."""

    start: float
    end: float
    label: str


def line_chart(
    lines: list[Line],
    fps: int,
    *,
    area: F64 | None = None,
    band: Band | None = None,
    floor: float | None = None,
) -> str:
    """Curves over time.

    Args:
        lines: Curves with one value per frame.
        fps: Frames per second.
        area: 0 to 1 per frame, drawn as a soft ground from below, for loudness.
        band: Span to point out.
        floor: Lowest value of the axis; that of the curves when not given.
    """
    values = np.concatenate([line.values for line in lines])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    n_frames = max(len(line.values) for line in lines)
    low = float(finite.min()) if floor is None else floor
    ticks = nice_ticks(low, float(finite.max()))
    low, high = min(low, ticks[0]), max(float(finite.max()), ticks[-1])
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * np.arange(n_frames) / max(n_frames - 1, 1)

    def y(value: F64 | float) -> F64:
        share = (np.asarray(value, dtype=np.float64) - low) / max(high - low, 1e-9)
        return np.asarray(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    if area is not None:
        parts.append(_area(x[: len(area)], area))
    if band is not None:
        parts.append(_band(band, fps, n_frames))
    for tick in ticks:
        at = float(y(tick))
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    parts.append(_seconds(n_frames, fps))
    for line in lines:
        path = _path(x[: len(line.values)], y(line.values))
        parts.append(f'<path class="line {line.style}" d="{path}"/>')
    parts.append("</svg>")
    legend = "".join(f'<span class="key {line.style}">{escape(line.name)}</span>' for line in lines)
    if area is not None:
        legend += '<span class="key area">loudness of the sound</span>'
    return f'<p class="legend">{legend}</p>' + "".join(parts)


def bar_rows(values: dict[str, float], unit: str) -> str:
    """Horizontal bars with their figures, as rows of a table."""
    most = max(values.values(), default=0.0) or 1.0
    rows = (
        f'<tr><th scope="row">{escape(name)}</th><td class="figure">{value:.1f} {escape(unit)}</td>'
        f'<td class="bar"><span style="width:{100 * value / most:.1f}%"></span></td></tr>'
        for name, value in values.items()
    )
    return f'<table class="bars">{"".join(rows)}</table>'


def nice_ticks(low: float, high: float, n_wanted: int = 4) -> list[float]:
    """Round numbers that lie within or around ``low`` to ``high``."""
    span = max(high - low, 1e-9)
    rough = span / n_wanted
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(m * power for m in (1, 2, 5, 10) if m * power >= rough))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [round(step * k, 10) for k in range(first, last + 1)] or [low]


def _path(x: F64, y: F64) -> str:
    """Polyline commands; a gap where a value is missing."""
    commands = []
    is_open = False
    for at, value in zip(x, y, strict=True):
        if not np.isfinite(value):
            is_open = False
            continue
        commands.append(f"{'L' if is_open else 'M'}{at:.1f} {value:.1f}")
        is_open = True
    return "".join(commands)


def _area(x: F64, share: F64) -> str:
    base = HEIGHT - _BOTTOM
    tops = base - (HEIGHT - _TOP - _BOTTOM) * np.clip(share, 0, 1)
    edge = "".join(f"L{at:.1f} {top:.1f}" for at, top in zip(x, tops, strict=True))
    return f'<path class="area" d="M{x[0]:.1f} {base}{edge}L{x[-1]:.1f} {base}Z"/>'


def _band(band: Band, fps: int, n_frames: int) -> str:
    per_second = (WIDTH - _LEFT - _RIGHT) * fps / max(n_frames - 1, 1)
    left = _LEFT + band.start * per_second
    width = (band.end - band.start) * per_second
    return (
        f'<rect class="band" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
        f'<text class="tick" x="{left + 4:.1f}" y="{_TOP + 12}">{escape(band.label)}</text>'
    )


def _seconds(n_frames: int, fps: int) -> str:
    duration = (n_frames - 1) / fps
    labels = []
    for second in nice_ticks(0.0, max(duration, 1e-3), 8):
        at = _LEFT + (WIDTH - _LEFT - _RIGHT) * second / max(duration, 1e-9)
        anchor = "middle" if at < WIDTH - _RIGHT - _EDGE else "end"
        labels.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
            f"{second:g} s</text>"
        )
    return "".join(labels)
