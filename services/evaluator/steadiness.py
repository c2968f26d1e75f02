"""How much landmarks shake from frame to frame."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.evaluator.metric import FaceTrack, at_standard_height

F64 = NDArray[np.float64]


def second_differences(track: FaceTrack, marks: Sequence[int]) -> F64:
    """Mean length of x[t + 1] - 2 x[t] + x[t - 1] over landmarks, px at 512 px image height.

    Returns:
        NaN where a face is missing. [T - 2]
    """
    points = at_standard_height(track)[:, list(marks), :2].astype(np.float64)
    return np.asarray(np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1).mean(axis=-1))
