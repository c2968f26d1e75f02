"""The canonical face: a neutral face in MediaPipe's 468-point topology, as it is stored.

``canonical_face.npz`` is our own; ``canonical_face_maker`` tells how it was made. Building a head
reads the stored file and needs neither MediaPipe nor a picture.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_FACE_VERTICES = 468
INTER_OCULAR_M = 0.063
"""Mean distance of adult pupils; it gives a capture of unknown scale its metres."""
FACE_FILE = Path(__file__).with_name("canonical_face.npz")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class CanonicalFace(NamedTuple):
    """The stored face; origin between the eyes, axes as in ``shared.head_model``."""

    vertices: Floats  # [468, 3] m
    irises: Floats  # [2, 3] centres, right then left
    faces: Ints  # [852, 3] counter-clockwise from outside; lips and eyes are holes
    mirror: Ints  # [468] vertex of the other half


def load_canonical_face() -> CanonicalFace:
    """Read the stored face."""
    with np.load(FACE_FILE, allow_pickle=False) as stored:
        return CanonicalFace(
            stored["vertices"].astype(np.float64),
            stored["irises"].astype(np.float64),
            stored["faces"].astype(np.int64),
            stored["mirror"].astype(np.int64),
        )
