"""A cloud of Gaussians in canonical head space, and the way from there into the world.

The published audio-driven methods learn a head alone, before the captured torso. Here a whole
person is drawn: torso Gaussians are in the same cloud and follow the head by the rule of
``shared.rigging.body``; neck Gaussians share both motions as the head model's skin does.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shared.avatar_method import Performance, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.gaussians import Gaussians, Surfels
from shared.geometry.rotations import (
    axis_angle_to_matrix,
    matrix_to_quaternion,
    multiply_quaternions,
    rotate_by_quaternions,
)
from shared.head_model import HeadPose, joint_transforms, neutral_vertices
from shared.layers import Layer
from shared.rigging.body import BodyRule, body_transform, fit_body_rule, follow_head

TORSO = REGIONS.index("torso")
CHILD_SHRINK = math.log(1.6)
"""Both of a split pair shrink by this factor (3D Gaussian Splatting)."""
BODY_WEIGHT = 3e-2
"""Of the torso's jerk, as in rigged_gaussians."""
SHARE_WEIGHT = 1e-2
N_PLACE = 15
"""Numbers of a condition that place head and torso: head 6, neck 3, torso 6."""

PER_GAUSSIAN = {
    "rest": (3,),
    "log_scales": (3,),
    "quats": (4,),
    "opacity_logits": (),
    "colors": (3,),
    "head_shares": (),
    "skin_shares": (),
    "labels": (),
}
"""What each Gaussian has, and its shape; surfels have two scales."""
N_SURFEL_SCALES = 2
LEARNED = (
    "rest",
    "log_scales",
    "quats",
    "opacity_logits",
    "colors",
    "head_shares",
    "pose_deltas",
    "body",
)
FIXED = ("skin_shares", "labels", "body_rule", "body_timing", "followed")


class Places(NamedTuple):
    """Where a frame puts head and torso: x -> turn x + shift."""

    head_turn: Tensor  # [3, 3]
    head_shift: Tensor  # [3]
    body_turn: Tensor  # [3, 3]
    body_shift: Tensor  # [3]


class CanonicalCloud(nn.Module):
    """What audio-driven methods have in common; N Gaussians, T training frames."""

    rest: Tensor  # [N, 3] m, place on the mean face
    log_scales: Tensor  # [N, 3] of metres; [N, 2] of surfels
    quats: Tensor  # [N, 4]
    opacity_logits: Tensor  # [N]
    colors: Tensor  # [N, 3]
    head_shares: Tensor  # [N] how far it goes with the head beyond what the skin does
    pose_deltas: Tensor  # [T, 6] correction of the tracked head pose
    body: Tensor  # [T, 6] torso motion
    skin_shares: Tensor  # [N] 1 on the head, 0 on the torso
    labels: Tensor  # [N] region that it started in
    body_rule: Tensor  # [7, 6]
    body_timing: Tensor  # [2]
    followed: Tensor  # [T, 6] torso by the rule, once settled; [0, 6] before

    def __init__(
        self, subject: Subject, tensors: dict[str, Tensor], still: tuple[int, ...] = (TORSO,)
    ) -> None:
        super().__init__()
        self.still = still
        """Regions that speech and face do not move by themselves."""
        for name in LEARNED:
            self.register_parameter(name, nn.Parameter(tensors[name].clone()))
        for name in FIXED:
            self.register_buffer(name, tensors[name].clone())
        self.subject = subject
        self._body_rest = rest_of_body(subject)

    def place_rows(self, performance: Performance) -> Tensor:
        """Head pose and torso motion of each frame. -> [T, 15]"""
        pose = performance.pose
        head = torch.cat([pose.rotation, pose.translation], 1)
        body = follow_head(BodyRule(self.body_rule, self.body_timing), head)
        return torch.cat([head, pose.neck_pose, body], 1)

    def training_place(self, frame: int) -> Tensor:
        """The same of a training frame, with the corrections learned so far. -> [15]"""
        pose = self.subject.training_pose
        head = torch.cat([pose.rotation[frame], pose.translation[frame]]) + self.pose_deltas[frame]
        body = self.followed if len(self.followed) else self.body
        return torch.cat([head, pose.neck_pose[frame], body[frame]])

    def places(self, row: Tensor) -> Places:
        """Motion of head and torso from the canonical space. [15]"""
        head, neck, body = row.split((6, 3, 6))
        still = torch.zeros(1, 3)
        motion = HeadPose(
            expr=still[:, :0],
            rotation=head[None, :3],
            neck_pose=neck[None],
            jaw_pose=still,
            eyes_pose=torch.zeros(1, 6),
            translation=head[None, 3:],
        )
        turns, shifts = joint_transforms(self.subject.head_model.joints, motion)
        body_turn, body_shift = body_transform(body, *self._body_rest)
        return Places(turns[0, 1], shifts[0, 1] + head[3:], body_turn, body_shift)

    def carry(self, places: Places, means: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical means [N, 3] and quaternions [N, 4] to world space."""
        share = (self.skin_shares + self.head_shares)[:, None]
        on_head = means @ places.head_turn.T + places.head_shift
        on_body = means @ places.body_turn.T + places.body_shift
        turns = torch.stack([places.head_turn, places.body_turn])
        head, body = matrix_to_quaternion(turns)
        body = torch.where((head * body).sum() < 0, -body, body)
        turn = torch.where(self.skin_shares[:, None] > 0.5, head, body)  # noqa: PLR2004 - nearer
        return share * on_head + (1 - share) * on_body, multiply_quaternions(turn, quats)

    def place(self, places: Places, raw: Layer) -> Layer:
        """Raw values, in canonical space, activated and carried into the world."""
        means, quats = self.carry(places, raw.means, raw.quats)
        return type(raw)(
            means=means,
            quats=quats,
            scales=raw.scales.exp(),
            opacities=torch.sigmoid(raw.opacities).clamp(1e-6, 1 - 1e-6),
            colors=raw.colors,
        )

    def raw(self) -> Layer:
        """The stored values: surfels where there are two scales."""
        kind = Surfels if self.log_scales.shape[1] == N_SURFEL_SCALES else Gaussians
        return kind(self.rest, self.quats, self.log_scales, self.opacity_logits, self.colors)

    def moving(self) -> Tensor:
        """Rows of the Gaussians that speech and face may move: usually all but the torso's. [M]"""
        is_still = torch.isin(self.labels, torch.tensor(self.still, dtype=self.labels.dtype))
        return torch.nonzero(~is_still)[:, 0]

    def regions(self) -> Tensor:
        """Region that each Gaussian started in. [N] uint8"""
        return self.labels.to(torch.uint8)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and fixed arrays, by name."""
        return {name: value.detach() for name, value in self.state_dict().items()}

    def cloud_rates(self) -> dict[str, float]:
        """Adam's initial learning rates of the cloud; in metres where places are meant."""
        return {
            "rest": 2e-5,
            "log_scales": 1e-2,
            "quats": 3e-3,
            "opacity_logits": 3e-2,
            "colors": 5e-3,
            "head_shares": 5e-3,
            "pose_deltas": 2e-4,
            "body": 4e-4,
        }

    def per_gaussian(self) -> dict[str, int]:
        """Which dimension of which tensor counts Gaussians."""
        return dict.fromkeys(PER_GAUSSIAN, 0)

    def cloud_penalty(self, frame: int) -> Tensor:
        """Small shares, and a torso that moves smoothly."""
        penalty = SHARE_WEIGHT * self.head_shares.square().mean()
        if 0 < frame < len(self.body) - 1:
            bend = self.body[frame] - 0.5 * (self.body[frame - 1] + self.body[frame + 1])
            penalty = penalty + BODY_WEIGHT * bend.square().sum() / 1e-4
        return penalty

    def placements(self) -> list[Tensor]:
        """Head pose corrections and torso motion."""
        return [self.pose_deltas, self.body]

    def split(self, shrinks: Tensor, is_new: Tensor, noise: Tensor) -> None:
        """Split pairs share their parent's place and size; surfels part within their plane."""
        with torch.no_grad():
            n_scales = self.log_scales.shape[1]
            apart = noise[:, :n_scales] * self.log_scales.exp()
            if n_scales == N_SURFEL_SCALES:
                flat = torch.nn.functional.pad(apart, (0, 1))
                apart = rotate_by_quaternions(flat, self.quats)
            self.rest += apart * is_new[:, None]
            self.log_scales -= CHILD_SHRINK * shrinks[:, None]

    def settle(self) -> None:
        """Fit the torso's rule to what was learned, and follow it from then on."""
        pose = self.subject.training_pose
        head = torch.cat([pose.rotation, pose.translation], 1) + self.pose_deltas.detach()
        rule = fit_body_rule(head, self.body.detach())
        self.body_rule.copy_(rule.weights)
        self.body_timing.copy_(rule.timing)
        self.followed = follow_head(rule, head)


def rest_of_body(subject: Subject) -> tuple[Tensor, Tensor, Tensor]:
    """Where the usual head pose puts the torso: rotation, shift and the torso's centre."""
    pose, model = subject.training_pose, subject.head_model
    turn = axis_angle_to_matrix(pose.rotation.median(0).values)
    root = model.joints[0]
    shift = root - turn @ root + pose.translation.median(0).values
    vertices = model.faces[model.face_regions == TORSO].unique()
    neutral = neutral_vertices(model, subject.shape)
    centre = neutral[vertices].mean(0) if len(vertices) else root
    return turn, shift, turn @ centre + shift
