"""The rig that methods share: one subject's mesh and torso, and what a frame makes of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.avatar_method import Seed, Subject
from shared.head_model import HeadPose, neutral_vertices
from shared.rigging.body import BodyRule, fit_body_rule, follow_head
from shared.rigging.mesh_motion import MovedMesh, Torso, move_mesh, torso_at_rest
from shared.rigging.placing import Placed, place_at_pixels
from shared.rigging.triangle_frames import TriangleFrames, triangle_frames

BODY_BEND_WEIGHT = 3e-2
BEND_UNIT = 1e-4
"""Squared radians or metres that a bend of the torso's path is measured in."""


class Rig(NamedTuple):
    """What does not change in training."""

    subject: Subject
    neutral: Tensor  # [V, 3] m
    torso: Torso | None
    """None where the torso moves with the head."""


def build_rig(subject: Subject, *, own_torso: bool = True) -> Rig:
    """The rig of a subject, whose torso is a body of its own unless said otherwise."""
    neutral = neutral_vertices(subject.head_model, subject.shape)
    return Rig(subject, neutral, torso_at_rest(subject, neutral) if own_torso else None)


def pose_rig(
    rig: Rig,
    motion: HeadPose,  # one frame
    body: Tensor,  # [6]
) -> tuple[TriangleFrames, MovedMesh]:
    """Frames of all triangles, and the mesh that they are of."""
    moved = move_mesh(rig.subject.head_model, rig.neutral, rig.torso, motion, body)
    return triangle_frames(moved.vertices, rig.subject.head_model.faces), moved


def drift(
    moved: MovedMesh,
    rest: Tensor,  # [N, 3] m
    head_shares: Tensor,  # [N]
) -> Tensor:
    """How far Gaussians go with the head beyond what their triangles do. [N, 3] m"""
    return head_shares[:, None] * (rest @ moved.turn.T + moved.shift)


def place_seeds(rig: Rig, seeds: list[Seed]) -> Placed:
    """Gaussians at the seeds' pixels, on the mesh as it stood in their frames."""
    subject = rig.subject
    parts = []
    for points in seeds:
        motion = training_frame(subject, points.frame)
        moved = move_mesh(
            subject.head_model, rig.neutral, rig.torso, motion, subject.training_body[points.frame]
        )
        parts.append(place_at_pixels(subject, rig.neutral, points, moved.vertices))
    return Placed(*(torch.cat(values) for values in zip(*parts, strict=True)))


def training_frame(subject: Subject, frame: int) -> HeadPose:
    """Tracked parameters of one training frame. [1, ...]"""
    return HeadPose(*(values[frame : frame + 1] for values in subject.training_pose))


def corrected(motion: HeadPose, deltas: Tensor) -> HeadPose:
    """Head pose with corrections of rotation and translation. [T, 6]"""
    return motion._replace(
        rotation=motion.rotation + deltas[:, :3],
        translation=motion.translation + deltas[:, 3:],
    )


def head_track(pose: HeadPose) -> Tensor:
    """Rotation and translation, which the torso follows. [T, 6]"""
    return torch.cat([pose.rotation, pose.translation], 1)


def start_torso(subject: Subject) -> dict[str, Tensor]:
    """The torso's tensors before training: seen motion, and the rule fitted to it."""
    rule = fit_body_rule(head_track(subject.training_pose), subject.training_body)
    return {
        "body": subject.training_body,
        "body_rule": rule.weights,
        "body_timing": rule.timing,
        "followed": torch.zeros(0, 6),
    }


def refit_torso(subject: Subject, pose_deltas: Tensor, body: Tensor) -> dict[str, Tensor]:
    """The torso's rule from refined head poses and torso motions, and how it moves by it.

    From then on the training moves the torso by the rule too, as rendering does: edges grow as
    soft as the rule is unsure of them, instead of sharp and in the wrong place.
    """
    head = head_track(subject.training_pose) + pose_deltas.detach()
    rule = fit_body_rule(head, body.detach())
    return {
        "body_rule": rule.weights,
        "body_timing": rule.timing,
        "followed": follow_head(rule, head),
    }


def follow(rule: Tensor, timing: Tensor, motion: HeadPose) -> Tensor:
    """Torso motion for any head motion. [T, 6]"""
    return follow_head(BodyRule(rule, timing), head_track(motion))


def bend_penalty(body: Tensor, frame: int) -> Tensor:
    """A torso moves smoothly; its first and last frame have one neighbour only, thus no bend."""
    if not 0 < frame < len(body) - 1:
        return torch.zeros(())
    bend = body[frame] - 0.5 * (body[frame - 1] + body[frame + 1])
    return BODY_BEND_WEIGHT * bend.square().sum() / BEND_UNIT
