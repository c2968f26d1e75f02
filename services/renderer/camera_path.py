"""Where the camera is in each frame, and how the head is held before it.

``capture``: the capture's camera, the head moves as the motion says. ``fixed``: the same camera,
the head keeps the pose it takes most. ``orbit``: the camera swings about the head.
"""

from math import pi
from typing import Literal

import torch
from torch import Tensor

from shared.geometry.rotations import axis_angle_to_matrix
from shared.head_model import HeadPose

CameraPath = Literal["capture", "fixed", "orbit"]


def orbit_views(
    viewmat: Tensor, pivot: Tensor, n_frames: int, *, swing_rad: float, period_frames: float
) -> Tensor:
    """The capture's camera, swinging sideways about ``pivot``; it starts at its own place.

    Args:
        viewmat: World to camera. [4, 4]
        pivot: World point that stays where it is in the image. [3]
        n_frames: T.
        swing_rad: Largest angle to either side, radians.
        period_frames: Frames of one swing there and back.

    Returns:
        World to camera. [T, 4, 4]
    """
    phase = 2 * pi * torch.arange(n_frames, dtype=viewmat.dtype) / period_frames
    angles = torch.zeros(n_frames, 3, dtype=viewmat.dtype)
    angles[:, 1] = swing_rad * phase.sin()
    turns = torch.eye(4, dtype=viewmat.dtype).repeat(n_frames, 1, 1)
    turns[:, :3, :3] = axis_angle_to_matrix(angles)
    turns[:, :3, 3] = pivot - turns[:, :3, :3] @ pivot
    return viewmat @ turns


def hold_head(motion: HeadPose, pose: HeadPose) -> HeadPose:
    """The motion with the head kept in ``pose`` (one frame); face, jaw and eyes still move."""
    n_frames = len(motion.expr)
    return motion._replace(
        rotation=pose.rotation.expand(n_frames, -1),
        neck_pose=pose.neck_pose.expand(n_frames, -1),
        translation=pose.translation.expand(n_frames, -1),
    )


def usual_pose(track: HeadPose) -> HeadPose:
    """The frame of ``track`` whose head pose is nearest to the median of all. -> one frame

    Rotation in radians and translation in units of 0.1 m weigh alike.
    """
    place = torch.cat([track.rotation, track.neck_pose, 10 * track.translation], dim=1)  # [T, 9]
    distance = (place - place.median(dim=0).values).norm(dim=1)
    nearest = int(distance.argmin())
    return HeadPose(*(values[nearest : nearest + 1] for values in track))
