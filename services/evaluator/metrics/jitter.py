"""Jitter: how much the face shakes from frame to frame.

The mean length of the second difference (x[t+1] - 2 x[t] + x[t-1]) of the landmarks that
expression moves least, in pixels at 512 px image height. Even a steady head has some, from the
detector; the capture's own figure stands beside it as baseline ``capture``.
"""

import numpy as np
from numpy.typing import NDArray

from services.evaluator.metric import (
    Evidence,
    FaceTrack,
    Measure,
    at_standard_height,
    mean_score,
    unavailable,
)
from shared.contracts.scores import Score
from shared.landmarks import RIGID

KIND = "track"
UNIT = "px"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "this project: measures of artefacts"

F64 = NDArray[np.float64]


def score(evidence: Evidence) -> Score:
    """Jitter of the video; ``details`` has its ratio to the capture's."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    shaking = second_differences(evidence.video)
    if not np.isfinite(shaking).any():
        return unavailable(measure, "no three consecutive frames show a face")
    baselines: dict[str, float] = {}
    details: dict[str, float] = {}
    if evidence.reference is not None:
        capture = second_differences(evidence.reference)
        if np.isfinite(capture).any():
            baselines["capture"] = float(np.nanmean(capture))
            details["ratio_to_capture"] = float(np.nanmean(shaking)) / max(
                baselines["capture"], 1e-6
            )
    return mean_score(shaking, measure, baselines=baselines, details=details)


def second_differences(track: FaceTrack) -> F64:
    """Mean length over the steady landmarks. -> [T - 2], NaN where a face is missing"""
    points = at_standard_height(track)[:, RIGID, :2].astype(np.float64)
    return np.asarray(np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1).mean(axis=-1))
