"""LMD: distance of the 40 lip landmarks between video and capture, each set centred.

Chen et al., "Lip movements generation at a glance", 2018, with MediaPipe's landmarks in both
videos; pixels at 512 px image height. Read beside its baselines: a figure above ``mean_mouth``
means the speech did nothing.
"""

import numpy as np

from services.evaluator.baselines import lip_baselines, lip_distance, lips_of
from services.evaluator.metric import Evidence, Measure, mean_score, paired, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "px"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Chen et al., ECCV 2018, with MediaPipe's landmarks"


def score(evidence: Evidence) -> Score:
    """Mean lip distance over the frames in which both videos show a face."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    if evidence.reference is None:
        return unavailable(measure, "there is no reference video to compare the lips with")
    preds, target = paired(evidence.video, evidence.reference)
    distances = lip_distance(lips_of(preds), lips_of(target))
    is_compared = np.isfinite(distances)
    if not is_compared.any():
        return unavailable(measure, "no frame shows a face in both videos")
    baselines = lip_baselines(target, evidence.training, is_compared)
    details = {"n_frames_without_face": float((~is_compared).sum())}
    if baselines.get("mean_mouth"):
        ratio = float(distances[is_compared].mean()) / baselines["mean_mouth"]
        details["ratio_to_mean_mouth"] = ratio
    return mean_score(distances, measure, baselines=baselines, details=details)
