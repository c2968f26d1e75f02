"""The bars of a job: what a video must reach."""

from collections.abc import Mapping

from services.evaluator.report_tables import number
from shared.contracts.scores import Score
from shared.errors import InvalidInput


def shortfalls(scores: Mapping[str, Score], min_quality: Mapping[str, float]) -> list[str]:
    """What does not reach its bar, in words; empty when all does.

    A figure must be at least its bar where higher is better and at most where lower is; one without
    a direction must not be further from zero. What could not be measured has not reached it.
    """
    found = []
    for name, bar in min_quality.items():
        score = scores.get(name)
        if score is None:
            found.append(f"there is no figure {name}")
        elif score.value is None:
            found.append(f"{name} is not available: {score.unavailable}")
        elif not _reaches(score, score.value, bar):
            word = "at least" if score.higher_is_better else "at most"
            unit = "" if score.unit == "1" else f" {score.unit}"
            found.append(f"{name} is {number(score.value)}{unit}, {word} {bar:g} is wanted")
    return found


def require_quality(scores: Mapping[str, Score], min_quality: Mapping[str, float]) -> None:
    """Refuse a video below its bars.

    Raises:
        InvalidInput: ``quality_below`` names each figure that is.
    """
    if below := shortfalls(scores, min_quality):
        raise InvalidInput(
            "quality_below",
            f"{'; '.join(below)}; the report shows where, lower the bars or mend it",
        )


def _reaches(score: Score, value: float, bar: float) -> bool:
    if score.higher_is_better is None:
        return abs(value) <= bar
    return value >= bar if score.higher_is_better else value <= bar
