"""LVE, lip vertex error: greatest squared distance of the lips on the mesh, mean over frames.

Lip landmarks of the subject's head model, held still, moved by what drove the video and by what
was tracked in the capture; needs the motion and the tracked dataset. The error of the tracked mean
mouth stands beside it.
"""

import numpy as np

from services.evaluator.metric import F32, F64, Evidence, Measure, mean_score, unavailable
from shared.contracts.scores import Score

KIND = "track"
UNIT = "mm2"
HIGHER_IS_BETTER = False
RANGE = (0.0, None)
SOURCE = "Richard et al., MeshTalk, ICCV 2021, as in UniTalker: maximum over lips, mean over frames"
_MM2 = 1e6


def score(evidence: Evidence) -> Score:
    """Mean over frames of the greatest squared error of a lip landmark."""
    measure = Measure(UNIT, HIGHER_IS_BETTER)
    pair = evidence.expressions
    if pair is None:
        return unavailable(
            measure, "it needs the motion that drove the video and the capture's tracked dataset"
        )
    values = lip_vertex_error(pair.driven_lips, pair.tracked_lips)
    if not (seen := np.isfinite(values)).any():
        return unavailable(measure, "no frame of the capture was tracked")
    mean = np.broadcast_to(pair.tracked_lips[seen].mean(axis=0), pair.tracked_lips.shape)
    trivial = lip_vertex_error(mean, pair.tracked_lips)
    return mean_score(values, measure, baselines={"mean": float(np.nanmean(trivial))}, details={})


def lip_vertex_error(driven: F32, tracked: F32) -> F64:
    """Greatest squared distance in each frame, mm2. [T, 40, 3] m twice -> [T]"""
    squared = np.square(driven.astype(np.float64) - tracked).sum(axis=-1)  # [T, 40]
    return np.asarray(_MM2 * squared.max(axis=-1))
