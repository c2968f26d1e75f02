"""Eyeball rotations from the irises seen."""

import numpy as np

from services.preprocess.face_bundle import Camera, Floats, FrameStates

EYEBALL_RADIUS_M = 0.012
MAX_TURN_RAD = 0.6
LID_CLOSED, LID_OPEN = 0.10, 0.20
"""Height over width of an eye at which the iris is not, and is fully, trusted."""
EYES = ((468, (33, 133, 159, 145)), (473, (362, 263, 386, 374)))
"""Iris centre, and corners and lids, of the right and the left eye."""


def eye_turns(
    landmarks: Floats, states: FrameStates, camera: Camera, root: Floats, centres: Floats
) -> tuple[Floats, Floats]:
    """Turn of each eyeball that puts its iris where it was seen.

    Args:
        landmarks: All 478, pixels. [T, 478, 3]
        states: Head poses.
        camera: The camera.
        root: Root joint. [3]
        centres: Right and left ball in the head at rest. [2, 3]

    Returns:
        Axis-angle of left and right eye, FLAME's order [T, 6], and trust 0 to 1 [T].
    """
    turns, trusts = [], []
    for (iris, lids), centre in zip(EYES, centres, strict=True):
        rays = np.concatenate(
            [
                (landmarks[:, iris, :2] - camera.image_size / 2) / camera.focal * [1, -1],
                -np.ones((len(landmarks), 1)),
            ],
            axis=1,
        )  # world direction, camera looks along -z
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        ball = states.turn @ (centre - root) + root + states.shift - [0, 0, camera.distance]
        along = (rays * ball).sum(1)
        miss2 = (ball**2).sum(1) - along**2
        depth = along - np.sqrt(np.maximum(EYEBALL_RADIUS_M**2 - miss2, 0))
        gaze = np.einsum("tji,tj->ti", states.turn, depth[:, None] * rays - ball)
        gaze /= np.linalg.norm(gaze, axis=1, keepdims=True)
        yaw = np.arctan2(gaze[:, 0], gaze[:, 2])
        pitch = np.arcsin(np.clip(-gaze[:, 1], -1, 1))
        turns.append(np.stack([pitch, yaw, 0 * yaw], axis=1).clip(-MAX_TURN_RAD, MAX_TURN_RAD))
        corner, other, upper, lower = (landmarks[:, i, :2] for i in lids)
        open_share = np.linalg.norm(upper - lower, axis=1) / np.linalg.norm(corner - other, axis=1)
        trusts.append(np.clip((open_share - LID_CLOSED) / (LID_OPEN - LID_CLOSED), 0, 1))
    return np.concatenate([turns[1], turns[0]], axis=1), np.minimum(*trusts)
