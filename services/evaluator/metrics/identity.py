"""Identity: cosine similarity of ArcFace embeddings of the video's faces and the capture's (CSIM).

Mean over frames taken evenly. Needs ArcFace's weights in the models folder; nothing else stands in
for them.
"""

import numpy as np

from services.evaluator.metric import Evidence, Measure, mean_score, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "1"
HIGHER_IS_BETTER = True
RANGE = (-1.0, 1.0)
SOURCE = "Deng et al., ArcFace, CVPR 2019; IResNet-50 of insightface"


def score(evidence: Evidence) -> Score:
    """Similarity, 1 for the same picture."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if isinstance(evidence.identity, str):
        return unavailable(measure, evidence.identity)
    n_frames = {"n_frames": float(np.isfinite(evidence.identity).sum())}
    return mean_score(evidence.identity, measure, baselines={}, details=n_frames)
