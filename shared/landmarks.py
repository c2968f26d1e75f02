"""MediaPipe's 478 face landmarks: which index is what, and the mouth measures made of them.

"Right" and "left" are the subject's. Indices 468 to 477 are the irises, which only the refined
model has. Index sets follow ``mediapipe.solutions.face_mesh_connections``; closed outlines are
in drawing order.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

N_LANDMARKS = 478

OUTER_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
"""Outline of the lips from the right corner along the lower lip."""
INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
"""Outline of the mouth's opening, same order."""
LIPS = OUTER_LIPS + INNER_LIPS
"""The 40 lip landmarks."""
INNER_LIP_PAIRS = (
    (191, 95), (80, 88), (81, 178), (82, 87), (13, 14), (312, 317), (311, 402), (310, 318),
    (415, 324),
)  # fmt: skip
"""Upper and lower partner across the mouth's opening, from right to left."""
MOUTH_CORNERS = (61, 291)

RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
"""Outlines of the lids from the outer corner along the lower lid."""
EYE_CORNERS = (33, 133, 362, 263)
"""Right outer, right inner, left inner, left outer."""
EYELID_PAIRS = ((159, 145), (386, 374))
"""Upper and lower lid in the middle of the right and the left eye."""
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
"""Centre, then four points of the rim."""

RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
NOSE = (
    168, 193, 122, 196, 236, 198, 209, 129, 64, 98, 97, 2, 326, 327, 294, 358, 429, 420, 456, 419,
    351, 417,
)  # fmt: skip
"""Outline of the nose from its root down the right side."""
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Outline of the face from the top of the forehead along the left side."""
FOREHEAD_TOP = 10
CHIN = 152
NOSE_TIP = 1
NOSE_ROOT = 168

RIGID = (
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 193, 417, 122, 351, 127, 356, 234, 454, 93, 323,
    10, 67, 297, 109, 338, 54, 284,
)  # fmt: skip
"""Points that expression moves least: eye corners, bridge of the nose, temples, forehead."""


def inter_ocular(landmarks: F32) -> F32:
    """Distance in the image between the outer eye corners.

    Args:
        landmarks: Pixels; a third coordinate is ignored. [..., 478, 2 or 3]

    Returns:
        Pixels. [...]
    """
    outer = landmarks[..., EYE_CORNERS[0], :2] - landmarks[..., EYE_CORNERS[3], :2]
    return np.asarray(np.linalg.norm(outer, axis=-1), dtype=np.float32)


def mouth_opening(landmarks: F32) -> F32:
    """Inner-lip height at the middle of the mouth over the inter-ocular distance.

    Args:
        landmarks: Pixels; a third coordinate is ignored. [..., 478, 2 or 3]

    Returns:
        Without unit, 0 when closed. [...]
    """
    upper, lower = INNER_LIP_PAIRS[4]
    height = np.linalg.norm(landmarks[..., lower, :2] - landmarks[..., upper, :2], axis=-1)
    return np.asarray(height / np.maximum(inter_ocular(landmarks), 1e-6), dtype=np.float32)


def is_lip_crossed(landmarks: F32, tolerance: float = 0.01) -> NDArray[np.bool_]:
    """Whether an upper inner-lip landmark lies below its lower partner.

    "Below" is along the face's own up axis, so a tilted head does not count. Closed lips touch,
    hence the tolerance, in inter-ocular distances.

    Args:
        landmarks: Pixels; a third coordinate is ignored. [..., 478, 2 or 3]
        tolerance: Overlap that tracking noise may make.

    Returns:
        One flag per face. [...]
    """
    down = landmarks[..., CHIN, :2] - landmarks[..., NOSE_ROOT, :2]
    down = down / np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), 1e-6)
    upper, lower = np.array(INNER_LIP_PAIRS).T
    across = landmarks[..., lower, :2] - landmarks[..., upper, :2]  # [..., 9, 2]
    height = (across * down[..., None, :]).sum(axis=-1)  # [..., 9]
    limit = -tolerance * inter_ocular(landmarks)[..., None]
    return np.asarray((height < limit).any(axis=-1))
