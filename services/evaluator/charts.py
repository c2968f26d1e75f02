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
_LETTER = 12
"""Height of a label."""


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


class Point(NamedTuple):
    """A place of a curve to point out."""

    x: float
    y: float
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
    n_frames = max((len(line.values) for line in lines), default=0)
    frame = _frame(lines, floor)
    if frame is None:
        return ""
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * np.arange(n_frames) / max(n_frames - 1, 1)
    ground = "" if area is None else _area(x[: len(area)], area)
    if band is not None:
        ground += _band(band, fps, n_frames)
    seconds = _across(0.0, (n_frames - 1) / fps, "s")
    keys = '<span class="key area">loudness of the sound</span>' if area is not None else ""
    return _chart(lines, frame, x, ground=ground, across=seconds, keys=keys)


def curve_chart(lines: list[Line], at: F64, unit: str, *, mark: Point | None = None) -> str:
    """Curves over something else than time.

    Args:
        lines: Curves with one value per place.
        at: The places, ascending. [K]
        unit: Of the places.
        mark: A place of a curve to point out.
    """
    frame = _frame(lines, None)
    if frame is None:
        return ""
    low, high = float(at[0]), float(at[-1])
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * (at - low) / max(high - low, 1e-9)
    ground = ""
    if mark is not None:
        place = _LEFT + (WIDTH - _LEFT - _RIGHT) * (mark.x - low) / max(high - low, 1e-9)
        height = float(frame.y(mark.y))
        # At the end of the line that is far from the spot, where a peak or a dip leaves room.
        is_right = place > WIDTH / 2
        text_x, anchor = (place - 9, "end") if is_right else (place + 9, "start")
        text_y = HEIGHT - _BOTTOM - _LETTER / 2 if height < HEIGHT / 2 else _TOP + _LETTER
        ground = (
            f'<line class="grid mark" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" '
            f'y2="{HEIGHT - _BOTTOM}"/><circle class="spot" cx="{place:.1f}" cy="{height:.1f}" '
            f'r="4"/><text class="tick name" x="{text_x:.1f}" y="{text_y:.1f}" '
            f'text-anchor="{anchor}">{escape(mark.label)}</text>'
        )
    return _chart(lines, frame, x, ground=ground, across=_across(low, high, unit))


class _Frame(NamedTuple):
    """The vertical axis."""

    low: float
    high: float
    ticks: list[float]

    def y(self, value: F64 | float) -> F64:
        share = (np.asarray(value, dtype=np.float64) - self.low) / max(self.high - self.low, 1e-9)
        return np.asarray(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share)


def _frame(lines: list[Line], floor: float | None) -> _Frame | None:
    """The axis that holds all curves; None when they have no value."""
    values = np.concatenate([np.zeros(0), *(line.values for line in lines)])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low = float(finite.min()) if floor is None else floor
    ticks = nice_ticks(low, float(finite.max()))
    return _Frame(min(low, ticks[0]), max(float(finite.max()), ticks[-1]), ticks)


def _chart(
    lines: list[Line], frame: _Frame, x: F64, *, ground: str, across: str, keys: str = ""
) -> str:
    """Axes, ground and curves, the legend above; ``x`` has the places of the longest curve."""
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">', ground]
    for tick in frame.ticks:
        at = float(frame.y(tick))
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    parts.append(across)
    for line in lines:
        path = _path(x[: len(line.values)], frame.y(line.values))
        parts.append(f'<path class="line {line.style}" d="{path}"/>')
    parts.append("</svg>")
    legend = "".join(f'<span class="key {line.style}">{escape(line.name)}</span>' for line in lines)
    return f'<p class="legend">{legend}{keys}</p>' + "".join(parts)


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


def _across(low: float, high: float, unit: str) -> str:
    """Labels of the horizontal axis."""
    labels = []
    for tick in nice_ticks(low, max(high, low + 1e-3), 8):
        at = _LEFT + (WIDTH - _LEFT - _RIGHT) * (tick - low) / max(high - low, 1e-9)
        anchor = "middle" if at < WIDTH - _RIGHT - _EDGE else "end"
        labels.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
            f"{tick:g} {unit}</text>"
        )
    return "".join(labels)
