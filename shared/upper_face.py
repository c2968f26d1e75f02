"""The upper face as seven numbers a frame, brows and blinks: what sound does not tell of it.

They stand in for OpenFace's action units, which the published methods take (SyncTalk's choice of
blendshapes). A dataset may bring numbers of its own (``talksplat import au``).
"""

import torch
from torch import Tensor

from shared.head_model import (
    HeadModel,
    HeadPose,
    landmark_patch,
    landmarks_on,
    neutral_vertices,
    pose_vertices,
)

UPPER_FACE_UNITS = (
    "browDown_L",
    "browDown_R",
    "browInnerUp",
    "browOuterUp_L",
    "browOuterUp_R",
    "eyeBlink_L",
    "eyeBlink_R",
)
"""ARKit's names as head models write them."""
N_UPPER_FACE = len(UPPER_FACE_UNITS)
N_BROWS = 5
"""The first of them; the last two are the blinks."""

_LEFT = {"inner": 336, "outer": 334, "lid": 386, "low": 374, "corner": 263}
_RIGHT = {"inner": 107, "outer": 105, "lid": 159, "low": 145, "corner": 33}
"""MediaPipe landmarks of brow, lids and outer eye corner."""
_BROW_UNIT = 0.12
"""Raise that counts as a whole unit, in distances between the eyes' outer corners."""


def upper_face_signal(model: HeadModel, shape: Tensor, pose: HeadPose) -> Tensor:
    """UPPER_FACE_UNITS of every frame. -> [T, 7]

    A head model with any of these expression units is asked for their coefficients; of others
    (FLAME) the mesh is measured.

    Args:
        model: The fitted head model.
        shape: The subject's neutral. [K]
        pose: T frames.
    """
    names = model.expression_names
    if not set(UPPER_FACE_UNITS) & set(names):
        return _measured(model, shape, pose)
    still = torch.zeros(len(pose.expr))
    columns = [
        pose.expr[:, names.index(unit)] if unit in names else still for unit in UPPER_FACE_UNITS
    ]
    return torch.stack(columns, 1)


def _measured(model: HeadModel, shape: Tensor, pose: HeadPose) -> Tensor:
    """Raise of the brows and closure of the lids, by the landmarks. -> [T, 7]"""
    patch, _ = landmark_patch(model)
    chosen = [*_LEFT.values(), *_RIGHT.values()]
    still = pose._replace(
        rotation=torch.zeros_like(pose.rotation),
        neck_pose=torch.zeros_like(pose.neck_pose),
        translation=torch.zeros_like(pose.translation),
    )
    at_rest = neutral_vertices(patch, shape)
    neutral = landmarks_on(patch, at_rest)[chosen]
    moved = landmarks_on(patch, pose_vertices(patch, at_rest, still))[:, chosen, 1]  # [T, 10]
    n = len(_LEFT)
    rest, now = neutral[:, 1].unflatten(0, (2, n)), moved.unflatten(1, (2, n))
    unit = _BROW_UNIT * (neutral[n - 1] - neutral[-1]).norm().clamp_min(1e-4)
    raised = (now[..., :2] - rest[:, :2]) / unit  # [T, side, inner and outer]
    down = torch.relu(-raised.mean(-1))
    up = torch.relu(raised)
    gap = (rest[:, 2] - rest[:, 3]).clamp_min(1e-4)
    closed = (1 - (now[..., 2] - now[..., 3]) / gap).clamp(0, 1)  # [T, side]
    return torch.cat([down, up[..., 0].mean(1, keepdim=True), up[..., 1], closed], 1)
