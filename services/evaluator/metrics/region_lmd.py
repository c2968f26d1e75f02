"""Landmark distance between video and capture by face region, each set centred on its mean.

``lmd`` for the other parts of the face: the value is the mean over the regions, details have each
(lips, eyes, brows, nose and the face's outline); pixels at 512 px image height.
"""

import numpy as np

from services.evaluator.baselines import lip_distance
from services.evaluator.landmark_regions import LANDMARK_REGIONS
from services.evaluator.metric import Evidence, Measure, mean_score, paired, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "px"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Chen et al., ECCV 2018, with MediaPipe's landmarks"


def score(evidence: Evidence) -> Score:
    """Mean distance over regions and over the frames in which both videos show a face."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.reference is None:
        return unavailable(measure, "there is no reference video to compare the face with")
    preds, target = paired(evidence.video, evidence.reference)
    distances = {
        name: lip_distance(preds[:, marks, :2], target[:, marks, :2])
        for name, marks in LANDMARK_REGIONS.items()
    }
    both = np.stack(list(distances.values()), 1)  # [T, 5]
    is_compared = np.isfinite(both).all(1)
    if not is_compared.any():
        return unavailable(measure, "no frame shows a face in both videos")
    details = {name: float(values[is_compared].mean()) for name, values in distances.items()}
    return mean_score(both.mean(1), measure, baselines={}, details=details)
