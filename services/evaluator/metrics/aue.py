"""AUE: error of OpenFace's action units against the capture's, only from supplied tables.

Sum over units of the mean squared difference of intensities (0 to 5), as in TalkingGaussian; its
lower and upper halves are in the details. Without both tables there is no figure.
"""

import numpy as np

from services.evaluator.metric import Evidence, Measure, unavailable
from services.evaluator.supplied import LOWER_UNITS
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Li et al., TalkingGaussian, ECCV 2024; OpenFace 2.2"


def score(evidence: Evidence) -> Score:
    """Sum over 17 units; ``details`` has the lower and the upper face."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.action_units is None:
        return unavailable(
            measure,
            "it needs OpenFace's tables of action units, of the video and of the same frames of "
            "the capture",
        )
    difference = evidence.action_units.video - evidence.action_units.reference
    squared = np.square(difference)[np.isfinite(difference).all(axis=1)]
    if not len(squared):
        return unavailable(measure, "OpenFace saw no frame's face in both videos")
    by_unit = squared.mean(axis=0)
    n_lower = len(LOWER_UNITS)
    return Score(
        value=float(by_unit.sum()),
        unit=UNIT,
        higher_is_better=HIGHER_IS_BETTER,
        details={"lower": float(by_unit[:n_lower].sum()), "upper": float(by_unit[n_lower:].sum())},
    )
