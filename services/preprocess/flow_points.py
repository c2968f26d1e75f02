"""Which points of the head optical flow can follow (SyncTalk's head-motion keypoints).

Those are kept whose flow changes least in speed from frame to frame: lips, lids and specular spots
do not move with the head.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Ints = NDArray[np.int64]

SPACING = 1 / 64
"""Of the candidates, of the picture's side: 5 px of the source's 320."""
N_JUDGED = 2500
"""Frames that the points are judged by."""
WILD = 3.0
"""Frames are left out whose flow jumps so many times more than it does on average."""
CALMEST = 40 / 255
"""Share of the range of restlessness that is kept."""
N_CELLS = 5
"""Cells along a side of the points' box; each keeps its own."""


def choose_candidates(allowed: NDArray[np.bool_], spacing: int) -> Ints:
    """Pixels of a lattice that may be followed, x and y. [M, 2]"""
    rows, columns = np.nonzero(allowed[spacing // 2 :: spacing, spacing // 2 :: spacing])
    return np.stack([columns, rows], 1) * spacing + spacing // 2


def restlessness(flows: F32) -> F32:
    """Mean size of each point's second differences in time. [M]

    Args:
        flows: Of neighbouring frames, from one reference. [T, M, 2]
    """
    flows = flows[:N_JUDGED]
    jumps = np.linalg.norm(flows[1:-1] - 0.5 * (flows[:-2] + flows[2:]), axis=-1)  # [T - 2, M]
    by_frame = jumps.mean(1)
    calm = by_frame <= WILD * by_frame.mean()
    return np.asarray(jumps[calm].mean(0), np.float32)


def choose_points(places: Ints, unrest: F32) -> NDArray[np.bool_]:
    """The calmest points of every cell of a grid over them.

    Args:
        places: Of the candidates in the reference picture. [M, 2]
        unrest: From ``restlessness``. [M]
    """
    low, high = places.min(0), places.max(0) + 1
    cells = ((places - low) * N_CELLS) // np.maximum(high - low, 1)
    number = cells[:, 0] * N_CELLS + cells[:, 1]
    chosen = np.zeros(len(places), np.bool_)
    for cell in np.unique(number):
        inside = number == cell
        least = float(unrest[inside].min())
        # On the range of all cells, so that one in the mouth's way keeps few; but it keeps its
        # calmest, since points all around hold a pose best.
        limit = float(unrest.min()) + CALMEST * float(np.ptp(unrest))
        chosen |= inside & (unrest <= max(limit, least))
    return chosen
