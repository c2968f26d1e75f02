"""Teaches the networks of a talker how the tracked face moves, before pictures refine it.

The sources show tens of thousands of pictures; in the few thousand steps of a laptop the picture's
gradient hardly moves the lips (at preset draft by 0.2 mm on May, whose lips move by 5), and the
mouth stays half open whatever is heard. The tracked mesh knows where the skin goes, and costs no
rasterizing: between the static and the moving stage each Gaussian learns to go with its triangle.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from shared.avatar_method import Subject
from shared.compute import one_thread
from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.progress import Progress, silent
from shared.talker_parts.cloud import N_PLACE
from shared.talker_parts.cloud_start import mean_face

STEPS_SHARE = 0.4
"""Lessons per step of the training."""
MOST_STEPS = 1200
RATE = 3e-3
WARM_UP = 0.1
"""Share of the lessons in which the rate rises: at once at its height, it kills the heads."""
TELL_EVERY = 10
N_FRAMES = 6
N_ROWS = 1024
"""Frames and Gaussians of a lesson: half of these drawn from all, half from those that move."""
KNOWN_NOISE = 0.3
"""Of the deviation of what is known of a frame: so near frames are taken as one, and the sound of
unheard speech, which is never quite that of the training, as what it resembles."""
UNIT_M = (0.5e-3, 1e-3, 1e-3)
"""An error of this counts one. Lips move half as far sideways as up and down; with one unit for all
their width was not learned at all in 400 lessons (May, the last quarter of the training frames kept
unseen: 0.95 of the variance sideways left and 1.09 mm LMD; with this 0.47 and 1.01)."""
INSIDE = tuple(REGIONS.index(name) for name in ("teeth", "mouth_inside"))
TORSO = REGIONS.index("torso")

Move = Callable[[Tensor, Tensor], Tensor]
"""Where conditions move some Gaussians, in canonical space. [B, C], rows [M] -> [B, M, 3] m"""


class SkinMotion(NamedTuple):
    """The triangle that each Gaussian goes with."""

    subject: Subject
    corners: Tensor  # [N, 3] vertices
    weights: Tensor  # [N, 3] of the corners
    mean: Tensor  # [V, 3] m, the mean face

    def at(self, frame: int, rows: Tensor | slice = slice(None)) -> Tensor:
        """Where a training frame moves some Gaussians, the head at rest. -> [M, 3] m"""
        moved = expressive_mesh(self.subject, frame) - self.mean
        return torch.einsum("nc,ncx->nx", self.weights[rows], moved[self.corners[rows]])


def n_lessons(n_steps: int) -> int:
    """Lessons before the moving stage of a training of so many steps."""
    return min(round(STEPS_SHARE * n_steps), MOST_STEPS)


def bind_to_skin(subject: Subject, rest: Tensor, labels: Tensor) -> SkinMotion:
    """The nearest triangle of the mean face; the mouth's inside goes with its own.

    Args:
        subject: Whose mesh.
        rest: Places on the mean face. [N, 3] m
        labels: Region of each. [N]
    """
    model = subject.head_model
    mean = mean_face(subject, neutral_vertices(model, subject.shape))
    middles = mean[model.faces].mean(1)  # [F, 3]
    kinds = _kind(model.face_regions.long())
    binding = torch.zeros(len(rest), dtype=torch.long)
    wanted = _kind(labels)
    for kind in wanted.unique():
        allowed = torch.nonzero(kinds == kind)[:, 0]
        if not len(allowed):  # a head without teeth
            allowed = torch.arange(len(middles))
        rows = wanted == kind
        nearest = cKDTree(middles[allowed].numpy()).query(rest[rows].numpy())[1]
        binding[rows] = allowed[torch.from_numpy(nearest)]
    corners = model.faces[binding].long()
    return SkinMotion(subject, corners, _barycentric(rest, mean[corners]), mean)


def expressive_mesh(subject: Subject, frame: int) -> Tensor:
    """The mesh with a training frame's expression, jaw and gaze, the head at rest. [V, 3]"""
    pose = HeadPose(*(values[frame : frame + 1] for values in subject.training_pose))
    still = torch.zeros(1, 3)
    at_rest = pose._replace(rotation=still, neck_pose=still, translation=still)
    neutral = neutral_vertices(subject.head_model, subject.shape)
    return pose_vertices(subject.head_model, neutral, at_rest)[0]


def teach_motion(
    skin: SkinMotion,
    conditions: Tensor,
    move: Move,
    rates: Mapping[nn.Parameter, float],
    n_steps: int,
    *,
    n_names: int = 0,
    progress: Progress = silent,
    keep: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Train some networks until ``move`` goes with the skin.

    Head pose is another frame's in every lesson: it names the frame, but moves no lips; so do codes
    of the frame itself.

    Args:
        skin: What moves the Gaussians.
        conditions: Of the training frames. [T, C]
        move: The networks.
        rates: Their parameters, each with its share of RATE.
        n_steps: Lessons.
        n_names: Numbers at the end of a condition that only name the frame.
        progress: Told now and then.
        keep: What must not change meanwhile, as a penalty of some rows.
    """
    optimizer = torch.optim.Adam([{"params": [each]} for each in rates])
    generator = torch.Generator().manual_seed(n_steps)
    n_frames, n_known = len(conditions), conditions.shape[1] - N_PLACE - n_names
    place, known, names = conditions.split((N_PLACE, n_known, n_names), 1)
    noise = KNOWN_NOISE * known.std(0)
    lively, unit = _lively(skin), torch.tensor(UNIT_M)
    with one_thread():
        for step in range(n_steps):
            frames, others = torch.randint(n_frames, (2, N_FRAMES), generator=generator)
            heard = torch.randn(N_FRAMES, n_known, generator=generator)
            lesson = torch.cat([place[others], known[frames] + noise * heard, names[others]], 1)
            half = N_ROWS // 2
            rows = torch.cat(
                [
                    torch.randint(len(skin.corners), (half,), generator=generator),
                    lively[torch.randint(len(lively), (half,), generator=generator)],
                ]
            )
            moved = move(lesson, rows)
            aims = torch.stack([skin.at(int(frame), rows) for frame in frames])
            loss = ((moved - aims) / unit).square().mean()
            if keep is not None:
                loss = loss + keep(rows)
            rising = min(1.0, (step + 1) / (WARM_UP * n_steps))
            for group, rate in zip(optimizer.param_groups, rates.values(), strict=True):
                group["lr"] = RATE * rate * rising * (1 - step / n_steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % TELL_EVERY == 0:
                progress(step / n_steps, "learning from the mesh how the face moves")
    for parameter in rates:
        parameter.grad = None


def _lively(skin: SkinMotion) -> Tensor:
    """The tenth of the Gaussians that moves most."""
    n_frames = len(skin.subject.training_pose.expr)
    moved = torch.stack([skin.at(frame) for frame in range(0, n_frames, max(1, n_frames // 16))])
    spread = moved.std(0).norm(dim=1)
    return spread.topk(max(1, len(spread) // 10)).indices


def _kind(labels: Tensor) -> Tensor:
    """0 skin and hair, 1 the inside of the mouth, 2 the torso."""
    inside = torch.isin(labels, torch.tensor(INSIDE))
    return inside.long() + 2 * (labels == TORSO)


def _barycentric(points: Tensor, corners: Tensor) -> Tensor:
    """Weights of the corners at the points, none below zero. [N, 3], [N, 3, 3] -> [N, 3]"""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    off = points - corners[:, 0]
    a, b, c = (one * one).sum(1), (one * two).sum(1), (two * two).sum(1)
    d, e = (off * one).sum(1), (off * two).sum(1)
    area = (a * c - b * b).clamp_min(1e-18)
    v, w = (c * d - b * e) / area, (a * e - b * d) / area
    weights = torch.stack([1 - v - w, v, w], 1).clamp_min(0)
    return weights / weights.sum(1, keepdim=True)
