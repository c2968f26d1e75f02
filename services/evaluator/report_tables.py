"""The report's tables of figures."""

from collections.abc import Mapping
from html import escape
from typing import Protocol

from shared.contracts.scores import Score


class Defined(Protocol):
    """What a figure is (``report.Definition``)."""

    @property
    def meaning(self) -> str:
        """In a sentence."""
        ...

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Least and greatest value."""
        ...

    @property
    def source(self) -> str:
        """Who defined it."""
        ...


FIRST = (
    "psnr", "ssim", "lpips", "lmd", "opening_corr", "lse_c", "lse_d", "av_offset",
    "mouth_audio_corr", "fps",
)  # fmt: skip
"""Scores that come first, large on top of the page too."""
ARTEFACTS = ("lip_crossings", "transparent_pixels", "uncovered_pixels", "stretch_p99")
BASELINE_WORDS = {
    "mean_mouth": "mean mouth",
    "still": "still mouth",
    "late": "truth, one frame late",
    "mean": "the tracked mean",
    "capture": "the capture itself",
}


def score_table(scores: dict[str, Score], definitions: Mapping[str, Defined]) -> str:
    """All scores with a value, their baselines and what they mean."""
    rows = "".join(
        _score_row(name, score, definitions.get(name))
        for name, score in sorted(scores.items(), key=_place)
        if name not in ARTEFACTS and score.value is not None
    )
    return (
        "<h2>Scores</h2>"
        "<p>Baselines are trivial answers of the same run: green figures are worse than ours, "
        "red ones better.</p>"
        '<div class="scroll"><table><thead><tr><th>Figure</th><th>Value</th><th>Worst frame</th>'
        f"<th>Baselines</th><th>Details</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _score_row(name: str, score: Score, definition: Defined | None) -> str:
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
        f"<td>{details}{_about(score, definition)}</td></tr>"
    )


def _about(score: Score, definition: Defined | None) -> str:
    """What the figure is, what it can be, and who says so."""
    said = [] if score.method is None else [f"{score.method}."]
    if definition is not None:
        said.append(definition.meaning)
        said.append(_range(*definition.bounds))
        if definition.source:
            said.append(f"Source: {definition.source}.")
    return f'<span class="what">{escape(" ".join(filter(None, said)))}</span>'


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f"At most {number(high)}."
    return f"From {number(low)} up." if high is None else f"From {number(low)} to {number(high)}."


def _place(item: tuple[str, Score]) -> tuple[int, str]:
    """The cards' order first, then the alphabet's."""
    return (FIRST.index(item[0]) if item[0] in FIRST else len(FIRST), item[0])


def _against(score: Score, baseline: float) -> str:
    """How a baseline's figure is coloured: beaten, or not."""
    if score.higher_is_better is None or score.value is None:
        return ""
    is_beaten = score.value > baseline if score.higher_is_better else score.value < baseline
    return "better" if is_beaten else "worse"


def artefact_table(scores: dict[str, Score], definitions: Mapping[str, Defined]) -> str:
    """What must not be seen, and how often it is."""
    rows = []
    for name in ARTEFACTS:
        score = scores.get(name)
        if score is None or score.value is None:
            continue
        unit = "" if score.unit == "1" else f" {escape(score.unit)}"
        is_clean = score.value == 0 or name == "stretch_p99"
        tone = "" if name == "stretch_p99" else ("better" if is_clean else "worse")
        rows.append(
            f'<tr><th scope="row">{escape(name)}</th>'
            f'<td class="figure {tone}">{number(score.value)}{unit}</td>'
            f'<td class="figure">{"" if score.worst is None else number(score.worst)}</td>'
            f"<td>{escape(definitions[name].meaning if name in definitions else '')}</td></tr>"
        )
    if not rows:
        return ""
    return (
        '<h2>Artefacts</h2><div class="scroll"><table><thead><tr><th>Figure</th><th>Value</th>'
        f"<th>Worst frame</th><th></th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def unavailable_table(scores: dict[str, Score]) -> str:
    """What has no value, and why."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(score.unavailable)}</td></tr>'
        for name, score in scores.items()
        if score.unavailable
    )
    if not rows:
        return ""
    return f"<h2>Not available</h2><table><tbody>{rows}</tbody></table>"


def number(value: float | None) -> str:
    """About three significant digits, as people write them."""
    if value is None:
        return ""
    if value == round(value) and abs(value) < 1e6:  # noqa: PLR2004 - counts stay whole
        return f"{value:.0f}"
    size = abs(value)
    digits = 1 if size >= 100 else 2 if size >= 1 else 3  # noqa: PLR2004
    return f"{value:.{digits}f}"
