"""Jitter of each part of the face: how much its outline shakes from frame to frame.

``jitter`` for lips, eyes, brows, nose and the face's outline; the value is their mean, details have
each. Lips move when somebody speaks, so the capture's own figure stands beside it.
"""

import numpy as np

from services.evaluator.landmark_regions import LANDMARK_REGIONS
from services.evaluator.metric import F64, Evidence, FaceTrack, Measure, mean_score, unavailable
from services.evaluator.steadiness import second_differences
from shared.contracts.scores import Score

KIND = "track"
UNIT = "px"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "this project: as jitter"


def score(evidence: Evidence) -> Score:
    """Mean over regions and frames; ``details`` has each region and its ratio to the capture's."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    shaking = _by_region(evidence.video)
    values = np.stack(list(shaking.values())).mean(axis=0)  # [T - 2]
    if not np.isfinite(values).any():
        return unavailable(measure, "no three consecutive frames show a face")
    details = {name: float(np.nanmean(each)) for name, each in shaking.items()}
    baselines: dict[str, float] = {}
    if evidence.reference is not None:
        capture = _by_region(evidence.reference)
        truth = np.stack(list(capture.values())).mean(axis=0)
        if np.isfinite(truth).any():
            baselines["capture"] = float(np.nanmean(truth))
            for name, each in capture.items():
                details[f"{name}_ratio"] = details[name] / max(float(np.nanmean(each)), 1e-6)
    return mean_score(values, measure, baselines=baselines, details=details)


def _by_region(track: FaceTrack) -> dict[str, F64]:
    """Second differences of each region. [T - 2] each"""
    return {name: second_differences(track, marks) for name, marks in LANDMARK_REGIONS.items()}
