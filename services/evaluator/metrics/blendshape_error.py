"""Blendshape error: mean absolute difference of expression coefficients, driven against tracked.

What drove the video's frames against what was tracked in the capture's; needs the motion and the
tracked dataset. ``mean`` beside it is the error of the tracked mean.
"""

import numpy as np

from services.evaluator.metric import Evidence, Measure, mean_score, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Fan et al., UniTalker, ECCV 2024 (parameter error of blendshape sets)"
_MOUTH = ("mouth", "jaw", "cheekPuff")


def score(evidence: Evidence) -> Score:
    """Mean over coefficients and frames; ``details`` has mouth, others, and the jaw's angle."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    pair = evidence.expressions
    if pair is None:
        return unavailable(
            measure, "it needs the motion that drove the video and the capture's tracked dataset"
        )
    error = np.abs(pair.driven - pair.tracked).astype(np.float64)  # [T, E]
    values = error.mean(axis=1)
    if not np.isfinite(values).any():
        return unavailable(measure, "no frame of the capture was tracked")
    use = np.isfinite(values)
    is_mouth = np.array([name.startswith(_MOUTH) for name in pair.names])
    jaw = np.linalg.norm(pair.driven_jaw - pair.tracked_jaw, axis=1)
    tracked = pair.tracked[use]
    details = {"jaw_rad": float(jaw[use].mean())}
    if is_mouth.any():
        details["mouth"] = float(error[use][:, is_mouth].mean())
    if not is_mouth.all():
        details["others"] = float(error[use][:, ~is_mouth].mean())
    trivial = {"mean": float(np.abs(tracked - tracked.mean(axis=0)).mean())}
    return mean_score(values, measure, baselines=trivial, details=details)
