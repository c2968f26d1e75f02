"""LSE-C and LSE-D: how far SyncNet's sound lies from its lips, at every small shift.

Definitions of joonson/syncnet_python (``SyncNetInstance.evaluate``): five-frame windows, 15 frames
of shift to each side over zeros, Euclidean distances averaged over frames. LSE-D is the least of
the 31 means, LSE-C their median less it.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import medfilt
from torch import Tensor
from torch.nn.functional import pad, pairwise_distance

F64 = NDArray[np.float64]

MAX_SHIFT = 15
"""Frames to each side."""
_SMOOTH = 9
"""Frames of the median filter over frame-wise confidences."""


class SyncDistances(NamedTuple):
    """SyncNet's figures of one face track."""

    confidence: float
    """LSE-C; higher is better."""
    distance: float
    """LSE-D; lower is better."""
    offset_frames: int
    """As SyncNet gives it: positive when the sound is ahead of the picture."""
    by_shift: F64  # [31] mean distance; the first has the sound 15 frames earlier
    by_frame: F64  # [n] median less the distance at the best shift, smoothed


def sync_distances(lips: Tensor, sound: Tensor) -> SyncDistances:
    """Compare embeddings of a track's windows. [n, 1024] twice"""
    n_windows = len(lips)
    padded = pad(sound, (0, 0, MAX_SHIFT, MAX_SHIFT))
    distances = torch.stack(
        [
            pairwise_distance(lips, padded[shift : shift + n_windows], eps=1e-6)
            for shift in range(2 * MAX_SHIFT + 1)
        ]
    )  # [31, n]
    means = distances.mean(dim=1)
    best = int(means.argmin())
    median = float(means.median())  # of 31 values, the one in the middle
    by_frame = median - distances[best].double().numpy()
    return SyncDistances(
        confidence=median - float(means[best]),
        distance=float(means[best]),
        offset_frames=MAX_SHIFT - best,
        by_shift=means.double().numpy(),
        by_frame=medfilt(by_frame, kernel_size=_SMOOTH),
    )
