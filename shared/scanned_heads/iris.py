"""MediaPipe's iris landmarks on an eyeball."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

IRIS_ANGLE_RAD = np.deg2rad(29.0)
"""Of the iris's edge from the gaze, seen from the ball's centre: 5.8 mm on 12 mm."""
RING = np.deg2rad([0.0, 90.0, 180.0, 270.0])
"""Image right, top, image left, bottom."""


def iris_points(centre: Floats, radius: float) -> Floats:
    """Centre and four points of the rim of the iris of a ball that looks forward. [5, 3] m"""
    rim = np.stack(
        [
            np.sin(IRIS_ANGLE_RAD) * np.cos(RING),
            np.sin(IRIS_ANGLE_RAD) * np.sin(RING),
            np.full(len(RING), np.cos(IRIS_ANGLE_RAD)),
        ],
        axis=1,
    )
    directions: Floats = np.concatenate([[[0.0, 0.0, 1.0]], rim])
    return centre + radius * directions
