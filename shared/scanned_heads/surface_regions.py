"""Which region each triangle of a head mesh belongs to, from MediaPipe's landmarks on it.

Inside the face's outline the label is that of MediaPipe's nearest triangle. Outside it is told by
place: neck below the jawline, ears beside the temples, the rest of the skull is hair.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shared.contracts.tracked_dataset import REGIONS
from shared.landmarks import FACE_OVAL, MOUTH_CORNERS
from shared.open_head_parts.assembly import face_regions
from shared.open_head_parts.canonical_face import load_canonical_face

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_SAMPLES = 4
"""Per side of a triangle that distances are measured to."""
OUTLINE_REACH_M = 0.007
"""Skin further than this from MediaPipe's mesh lies outside the face."""
JAW_ANGLES = (172, 397)
CHIN_LOW = 152
EARS = (234, 454)
EAR_BACK_M = 0.045
"""How far behind the face's outline ears may reach."""
BESIDE = 0.9
"""Share of the temples' distance from the middle from which skin below the eyes is an ear."""
CHEEK_REACH_M = 0.030
"""Skin beside the face's outline that still is cheek, below the eyes."""
NECK_MARGIN_M = 0.004
EYE_OUTER = (33, 263)


def label_skin(middles: Floats, marks: Floats) -> Ints:
    """Region of each triangle of the outer skin.

    Args:
        middles: Middles of the triangles. [F, 3] m
        marks: MediaPipe's face landmarks on the same mesh. [468, 3]
    """
    canonical = load_canonical_face()
    places, owners = _samples(marks[canonical.faces])
    away, nearest = cKDTree(places).query(middles)
    labels = face_regions(canonical)[owners[nearest]]
    # Lips and lids are holes of MediaPipe's mesh; what lies behind them is still the face's.
    is_outside = (away > OUTLINE_REACH_M) & ~_is_before(middles, marks)
    labels[is_outside] = _outside(middles[is_outside], marks)
    return labels


def neck_depths(places: Floats, marks: Floats) -> Floats:
    """How far below the jawline, and below the mouth where there is no jaw; 0 above. [...] m"""
    angle, chin = marks[list(JAW_ANGLES)].mean(0), marks[CHIN_LOW]
    slope = (chin[1] - angle[1]) / (chin[2] - angle[2])
    line = angle[1] + slope * (places[:, 2] - angle[2]) - NECK_MARGIN_M
    mouth = marks[list(MOUTH_CORNERS), 1].mean()
    depths: Floats = np.maximum(np.minimum(line, mouth) - places[:, 1], 0)
    return depths


def _outside(middles: Floats, marks: Floats) -> Ints:
    """Labels beyond the face's outline."""
    temples = marks[list(EARS)]
    eyes = marks[list(EYE_OUTER), 1].mean()
    away, _ = cKDTree(marks[list(FACE_OVAL)]).query(middles)
    labels = np.full(len(middles), REGIONS.index("hair"))
    is_low = middles[:, 1] < eyes
    behind = temples[:, 2].mean() - middles[:, 2]
    is_beside = np.abs(middles[:, 0]) > np.abs(temples[:, 0]).mean() * BESIDE
    labels[is_low & is_beside & (behind < EAR_BACK_M)] = REGIONS.index("ears")
    labels[is_low & (away < CHEEK_REACH_M) & (behind < 0)] = REGIONS.index("face")
    labels[neck_depths(middles, marks) > 0] = REGIONS.index("neck")
    return labels


def _is_before(middles: Floats, marks: Floats) -> NDArray[np.bool_]:
    """Well inside the face's outline and in front of it."""
    oval = marks[list(FACE_OVAL)]
    centre = oval.mean(0)
    half = np.abs(oval - centre).max(0)
    inside = np.square((middles[:, :2] - centre[:2]) / (0.85 * half[:2])).sum(1) < 1
    return np.asarray(inside & (middles[:, 2] > centre[2]))


def _samples(corners: Floats) -> tuple[Floats, Ints]:
    """Points spread over triangles, and the triangle of each. [M, 3], [M]"""
    steps = np.arange(N_SAMPLES + 1)
    first, second = np.meshgrid(steps, steps)
    kept = first + second <= N_SAMPLES
    shares = np.stack([first[kept], second[kept]], axis=1) / N_SAMPLES
    weights = np.concatenate([1 - shares.sum(1, keepdims=True), shares], axis=1)
    # Corners belong to several triangles; their middles are what tells those apart.
    weights = 0.9 * weights + 0.1 / 3
    places = np.einsum("sc,fcd->fsd", weights, corners)
    return places.reshape(-1, 3), np.repeat(np.arange(len(corners)), len(weights))
