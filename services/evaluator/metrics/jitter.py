"""Jitter: how much the face shakes from frame to frame.

The mean length of the second difference (x[t+1] - 2 x[t] + x[t-1]) of the landmarks that
expression moves least, in pixels at 512 px image height. Even a steady head has some, from the
detector; the capture's own figure stands beside it as baseline ``capture``.
"""

import numpy as np

from services.evaluator.metric import Evidence, Measure, mean_score, unavailable
from services.evaluator.steadiness import second_differences
from shared.contracts.scores import Score
from shared.landmarks import RIGID

KIND = "track"
UNIT = "px"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "this project: measures of artefacts"


def score(evidence: Evidence) -> Score:
    """Jitter of the video; ``details`` has its ratio to the capture's."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    shaking = second_differences(evidence.video, RIGID)
    if not np.isfinite(shaking).any():
        return unavailable(measure, "no three consecutive frames show a face")
    baselines: dict[str, float] = {}
    details: dict[str, float] = {}
    if evidence.reference is not None:
        capture = second_differences(evidence.reference, RIGID)
        if np.isfinite(capture).any():
            baselines["capture"] = float(np.nanmean(capture))
            details["ratio_to_capture"] = float(np.nanmean(shaking)) / max(
                baselines["capture"], 1e-6
            )
    return mean_score(shaking, measure, baselines=baselines, details=details)
