"""How well the mouth opens and closes with the capture's: correlation at the best small lag.

Mouth opening is the inner lips' distance over the inter-ocular distance.
"""

import numpy as np
from numpy.typing import NDArray

from services.evaluator.metric import Evidence, Measure, unavailable
from shared.contracts.scores import Score
from shared.landmarks import mouth_opening

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = True
RANGE = (-1.0, 1.0)
SOURCE = "this project: Pearson correlation at the best lag within five frames"

MAX_LAG = 5
"""Frames."""
MIN_FRAMES = 15
"""Fewer say nothing about a correlation over eleven lags."""

F64 = NDArray[np.float64]


def score(evidence: Evidence) -> Score:
    """Correlation at the best lag; ``details`` has that lag, positive when the video is late."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.reference is None:
        return unavailable(measure, "there is no reference video whose mouth could be followed")
    preds = mouth_opening(evidence.video.landmarks).astype(np.float64)
    target = mouth_opening(evidence.reference.landmarks).astype(np.float64)
    n_frames = min(len(preds), len(target))
    preds, target = preds[:n_frames], target[:n_frames]
    if np.isfinite(preds + target).sum() < MIN_FRAMES + MAX_LAG:
        return unavailable(
            measure, f"fewer than {MIN_FRAMES + MAX_LAG} frames show a face in both videos"
        )
    by_lag = {lag: correlation_at(preds, target, lag) for lag in range(-MAX_LAG, MAX_LAG + 1)}
    known = {lag: value for lag, value in by_lag.items() if value is not None}
    if not known:
        return unavailable(measure, "a mouth that does not move has no correlation")
    # Of equal correlations the smallest lag counts.
    lag = max(known, key=lambda each: (known[each], -abs(each)))
    details = {"lag_frames": float(lag)}
    if (at_zero := known.get(0)) is not None:
        details["at_zero_lag"] = at_zero
    return Score(value=known[lag], unit=UNIT, higher_is_better=HIGHER_IS_BETTER, details=details)


def correlation_at(preds: F64, target: F64, lag: int) -> float | None:
    """Pearson correlation of preds[t + lag] and target[t]; None where one does not vary."""
    n = len(preds)
    a = preds[max(lag, 0) : n + min(lag, 0)]
    b = target[max(-lag, 0) : n + min(-lag, 0)]
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if a.size < MIN_FRAMES or a.std() < 1e-6 or b.std() < 1e-6:  # noqa: PLR2004 - rounding
        return None
    return float(np.corrcoef(a, b)[0, 1])
