"""Rendering speed: frames per second from pose to encoded file, as the renderer recorded it."""

from services.evaluator.metric import Evidence, Measure, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "frames/s"
HIGHER_IS_BETTER = True
RANGE = (0.0, None)
SOURCE = "timing.json of the renderer"


def score(evidence: Evidence) -> Score:
    """Frames per second; ``details`` has the multiple of real time."""
    if not evidence.render_seconds:
        return unavailable(
            Measure(UNIT, HIGHER_IS_BETTER), "the video does not record how long it took to render"
        )
    value = len(evidence.video.landmarks) / evidence.render_seconds
    return Score(
        value=value,
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        details={"times_real_time": value / evidence.fps},
    )
