"""How the torso of an avatar of ours moved, for head poses that were refined since."""

from pathlib import Path

import torch
from torch import Tensor

from shared.avatar_method import Performance, Subject
from shared.avatar_store import TRAINING
from shared.contracts.artifact import read_arrays
from shared.contracts.avatar import TRAINING_TABLE
from shared.errors import InvalidInput
from shared.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion
from shared.head_model import HeadPose, neutral_vertices
from shared.rigging.mesh_motion import Torso, torso_at_rest


def read_torso(folder: Path, subject: Subject) -> Tensor:
    """The torso's motion in the frames of ``subject``'s poses; still without a file. [T, 6]

    Raises:
        InvalidInput: ``bad_exchange_file`` where the file is of another number of frames.
    """
    n_frames = len(subject.training_pose.expr)
    if not (folder / TRAINING).is_file():
        return torch.zeros(n_frames, 6)
    arrays = read_arrays(folder / TRAINING, TRAINING_TABLE)
    body = torch.from_numpy(arrays["body"])
    if len(body) != n_frames:
        raise InvalidInput(
            "bad_exchange_file",
            f"{folder / TRAINING} has {len(body)} frames, flame_param.npz {n_frames}",
        )
    tracked = HeadPose(*(torch.from_numpy(arrays[name]) for name in HeadPose._fields))
    neutral = neutral_vertices(subject.head_model, subject.shape)
    before = torso_at_rest(subject._replace(training_performance=Performance(tracked)), neutral)
    return rebase(body, before, torso_at_rest(subject, neutral))


def rebase(body: Tensor, before: Torso, after: Torso) -> Tensor:
    """The same motion in the world, counted from another place of rest. [T, 6]"""
    turns = axis_angle_to_matrix(body[:, :3])
    shifts = (before.shift - before.pivot) @ turns.mT + before.pivot + body[:, 3:]
    turned = turns @ before.rotation @ after.rotation.T
    moved = shifts - (after.shift - after.pivot) @ turned.mT - after.pivot
    return torch.cat([_axis_angle(turned), moved], 1)


def _axis_angle(turns: Tensor) -> Tensor:
    """Rotation matrices to axis-angle, at most half a turn. [T, 3, 3] -> [T, 3]"""
    quats = matrix_to_quaternion(turns)
    quats = torch.where(quats[:, :1] < 0, -quats, quats)
    sine = quats[:, 1:].norm(dim=1, keepdim=True)
    angle = 2 * torch.atan2(sine, quats[:, :1])
    return quats[:, 1:] * torch.where(sine > 1e-8, angle / sine.clamp_min(1e-8), torch.tensor(2.0))  # noqa: PLR2004 - below it the sine is half the angle
