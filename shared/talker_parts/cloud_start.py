"""Where a canonical cloud starts: pixels of training frames, carried onto the mean face.

KU GaussianTalker starts from the 3DMM's vertices, averaged over the track, and TalkingGaussian
from random points; pixels on the fitted mesh bring their colours, which few steps need.
"""

import torch
from torch import Tensor

from shared.avatar_method import Seed, Subject
from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.rigging.body import body_transform, fit_body_rule
from shared.rigging.seeding import bind_pixels
from shared.rigging.triangle_frames import TriangleFrames, triangle_frames
from shared.talker_parts.cloud import FIXED, LEARNED, rest_of_body

START_OPACITY = 0.7
APART = tuple(REGIONS.index(name) for name in ("neck", "torso"))
"""What a picture shows of them lies on them alone, wherever the mesh is."""


def start_cloud(
    subject: Subject, seeds: list[Seed], seed: int, n_scales: int = 3
) -> dict[str, Tensor]:
    """Tensors of a CanonicalCloud before training; rows in the order of the seeds.

    Surfels, which have two scales, begin with their faces to the viewer of a head at rest.
    """
    pose = subject.training_pose
    model = subject.head_model
    neutral = neutral_vertices(model, subject.shape)
    face = triangle_frames(mean_face(subject, neutral), model.faces)
    on_skin = 1 - model.weights[model.faces, 0].mean(1)  # [F] share of the joints above the root
    columns: dict[str, list[Tensor]] = {name: [] for name in ("rest", "log_scales", "skin_shares")}
    for points in seeds:
        rest, scales, shares = _place(subject, points, face, on_skin)
        columns["rest"].append(rest)
        columns["log_scales"].append(scales)
        columns["skin_shares"].append(shares)
    start = {name: torch.cat(values) for name, values in columns.items()}
    start["log_scales"] = start["log_scales"][:, :n_scales]
    n = len(start["rest"])
    head = torch.cat([pose.rotation, pose.translation], 1)
    rule = fit_body_rule(head, subject.training_body)
    noise = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    start |= {
        "quats": torch.tensor([1.0, 0, 0, 0]) + 0.01 * noise,
        "opacity_logits": torch.full((n,), START_OPACITY).logit(),
        "colors": torch.cat([points.colors for points in seeds]),
        "head_shares": torch.zeros(n),
        "pose_deltas": torch.zeros(len(pose.expr), 6),
        "body": subject.training_body,
        "labels": torch.cat([points.labels for points in seeds]).long(),
        "body_rule": rule.weights,
        "body_timing": rule.timing,
        "followed": torch.zeros(0, 6),
    }
    return {name: start[name] for name in (*LEARNED, *FIXED)}


def mean_face(subject: Subject, neutral: Tensor) -> Tensor:
    """The mesh with the training frames' mean expression and jaw, its head at rest. [V, 3]"""
    pose = subject.training_pose
    still = torch.zeros(1, 3)
    mean = HeadPose(
        expr=pose.expr.mean(0, keepdim=True),
        rotation=still,
        neck_pose=still,
        jaw_pose=pose.jaw_pose.mean(0, keepdim=True),
        eyes_pose=torch.zeros(1, 6),
        translation=still,
    )
    return pose_vertices(subject.head_model, neutral, mean)[0]


def _place(
    subject: Subject, points: Seed, face: TriangleFrames, on_skin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Rest places [M, 3], log scales [M, 3] and skin shares [M] of one frame's points."""
    model = subject.head_model
    vertices = _posed_mesh(subject, points.frame)
    labels = model.face_regions
    apart = torch.tensor(APART, dtype=labels.dtype)
    rest = torch.zeros(len(points.pixels), 3)
    scales, shares = torch.zeros(len(rest)), torch.zeros(len(rest))
    for kind in (*APART, None):
        wanted = ~torch.isin(points.labels, apart) if kind is None else points.labels == kind
        allowed = ~torch.isin(labels, apart) if kind is None else labels == kind
        if not wanted.any():
            continue
        bound = bind_pixels(
            points.pixels[wanted],
            vertices,
            model.faces,
            allowed,
            viewmat=subject.viewmat,
            K=subject.K,
            crop_size=subject.crop_size,
        )
        size = face.sizes[bound.binding]
        turned = (face.rotations[bound.binding] * bound.local[:, None]).sum(-1)
        rest[wanted] = face.centres[bound.binding] + turned * size[:, None]
        scales[wanted] = points.spacing[wanted] * bound.pixel_sizes * size
        shares[wanted] = 0.0 if kind == APART[1] else on_skin[bound.binding]
    return rest, scales.clamp(1e-5, 1e-2).log()[:, None].expand(-1, 3).clone(), shares


def _posed_mesh(subject: Subject, frame: int) -> Tensor:
    """The mesh as it stood in a training frame, its torso where it was then. [V, 3]"""
    model = subject.head_model
    pose = HeadPose(*(values[frame : frame + 1] for values in subject.training_pose))
    neutral = neutral_vertices(model, subject.shape)
    posed = pose_vertices(model, neutral, pose)[0]
    # What the root joint carries stands where the torso stands, not where the head would put it.
    turn, shift = body_transform(subject.training_body[frame], *rest_of_body(subject))
    on_root = model.weights[:, :1]
    return posed + on_root * (neutral @ turn.T + shift - _by_root(subject, neutral, pose))


def _by_root(subject: Subject, neutral: Tensor, pose: HeadPose) -> Tensor:
    """The neutral mesh moved by the root joint alone. [V, 3]"""
    still = pose._replace(
        expr=torch.zeros_like(pose.expr),
        neck_pose=torch.zeros_like(pose.neck_pose),
        jaw_pose=torch.zeros_like(pose.jaw_pose),
        eyes_pose=torch.zeros_like(pose.eyes_pose),
    )
    return pose_vertices(subject.head_model, neutral, still)[0]
