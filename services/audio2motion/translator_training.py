"""Trains the translator: the best weights for its waves at once, then all of it step by step."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from services.audio2motion.translator_net import Heads, TranslatorNet, pose_share
from shared.progress import Progress
from shared.training_checkpoints import Checkpoint, load_checkpoint, save_checkpoint

_NOISE = 0.1
"""Variance of the strongest mouth shape that sound does not explain, to that it does; the k-th has
k times as much. These scales were chosen by blocked cross-validation on training frames."""
_UPPER_NOISE = 5.0
_MAX_FRAMES = 3000
"""Of all captures together in the first solve, whose cost grows with their cube."""
_RATE = 2e-4
_RUN_FRAMES = 100
_HEARD_NOISE = 0.02
_MOVING = 0.5
"""Weight of the lips' speed beside their place."""
_ANYONE = 0.1
"""How often a speaker goes unnamed (UniTalker's pivot identity)."""
_STAY = 3e-3
"""Weight of the distance from the first solve."""
_CHECKPOINTS = 10


class Lesson(NamedTuple):
    """One capture as the network sees it: valid frames alone, in order."""

    views: Tensor  # [T, L, 3, 5 C]
    pose: Tensor  # [T, 6]
    mouth: Tensor  # [T, K] activations of the mouth shapes
    upper: Tensor  # [T, U] deviations from the speaker's mean
    lips: Tensor  # [K, 40 * 3] m per activation, on this subject's lips
    speaker: int


class Course(NamedTuple):
    """How long and from where."""

    n_steps: int
    seed: int
    checkpoints: Path | None


def solve_decoder(net: TranslatorNet, lessons: Sequence[Lesson]) -> None:
    """Set the decoder to the best weights for the waves as they are (kernel ridge regression)."""
    stride = -(-sum(len(lesson.pose) for lesson in lessons) // _MAX_FRAMES)
    with torch.no_grad():
        seen = torch.cat(
            [
                net.voiced(net.features(each.views[::stride], each.pose[::stride]), each.speaker)
                for each in lessons
            ]
        ).double()
        mouth = torch.cat([each.mouth[::stride] for each in lessons]).double()
        upper = torch.cat([each.upper[::stride] for each in lessons]).double()
        width = seen.shape[1] // len(net.mouth)
        quiet = seen * pose_share(width, of_mouth=True).repeat(len(net.mouth))
        alike = quiet @ quiet.T
        for k in range(mouth.shape[1]):
            found = quiet.T @ _ridge(alike, mouth[:, k : k + 1], _NOISE * (1 + k))
            net.mouth[..., k] = found.reshape(len(net.mouth), width).float()
        found = seen.T @ _ridge(seen @ seen.T, upper, _UPPER_NOISE)
        net.upper.copy_(found.reshape(len(net.upper), width, -1).float())


def train_net(
    net: TranslatorNet, lessons: Sequence[Lesson], course: Course, progress: Progress
) -> None:
    """Adam on parameters and lips together; a stopped training goes on from its checkpoint."""
    solve_decoder(net, lessons)
    anchor = {name: value.detach().clone() for name, value in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), lr=_RATE, foreach=False)
    key = _key(lessons, course)
    done = resume_training(net, optimizer, course, key)
    every = max(1, course.n_steps // _CHECKPOINTS)
    for step in range(done, course.n_steps):
        made = torch.Generator().manual_seed(course.seed * 1_000_003 + step)
        loss = sum((_cost(net, each, made) for each in _drawn(lessons, made)), torch.zeros(()))
        away = sum(
            ((value - anchor[name]).square().sum() for name, value in net.named_parameters()),
            torch.zeros(()),
        )
        optimizer.zero_grad()
        (loss + _STAY * away).backward()
        optimizer.step()
        if course.checkpoints is not None and (step + 1) % every == 0:
            save_checkpoint(course.checkpoints, key, training_state(net, optimizer, step + 1))
        if (step + 1) % 10 == 0:
            progress((step + 1) / course.n_steps, f"training, step {step + 1}")


def _ridge(alike: Tensor, targets: Tensor, noise: float) -> Tensor:
    return torch.linalg.solve(alike + noise * torch.eye(len(alike), dtype=alike.dtype), targets)


def _drawn(lessons: Sequence[Lesson], made: torch.Generator) -> Iterator[Lesson]:
    """A run of each capture's frames, at times without its speaker's name."""
    nobody = max(each.speaker for each in lessons) + 1
    for each in lessons:
        n_run = min(_RUN_FRAMES, len(each.pose))
        start = int(torch.randint(0, len(each.pose) - n_run + 1, (1,), generator=made))
        run = slice(start, start + n_run)
        views = each.views[run]
        views = views + _HEARD_NOISE * torch.randn(views.shape, generator=made)
        is_unnamed = float(torch.rand(1, generator=made)) < _ANYONE
        yield each._replace(
            views=views,
            pose=each.pose[run],
            mouth=each.mouth[run],
            upper=each.upper[run],
            speaker=nobody if is_unnamed else each.speaker,
        )


def _cost(net: TranslatorNet, shown: Lesson, _made: torch.Generator) -> Tensor:
    """Loss on parameters (L_rec) and on the mesh (L_mesh), each over its own variance."""
    heads: Heads = net(shown.views, shown.pose, shown.speaker)
    off = (heads.mouth - shown.mouth) @ shown.lips  # [T, 120] m
    spread = (shown.mouth @ shown.lips).square().mean().clamp_min(1e-12)
    mesh = off.square().mean() / spread
    moving = (off[1:] - off[:-1]).square().mean() / spread
    rec = (
        (heads.mouth - shown.mouth).square() / shown.mouth.square().mean(0).clamp_min(1e-12)
    ).mean()
    upper = (
        (heads.upper - shown.upper).square() / shown.upper.square().mean(0).clamp_min(1e-6)
    ).mean()
    return mesh + _MOVING * moving + 0.1 * rec + 0.1 * upper


def training_state(net: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Checkpoint:
    """Network and optimizer as a checkpoint."""
    moments = {
        f"{number}.{name}": torch.as_tensor(value)
        for number, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
    }
    return Checkpoint(step, dict(net.state_dict()), moments, [])


def resume_training(
    net: nn.Module, optimizer: torch.optim.Optimizer, course: Course, key: str
) -> int:
    """Steps done before, their state put back."""
    if course.checkpoints is None:
        return 0
    kept = load_checkpoint(course.checkpoints, key)
    if kept is None:
        return 0
    net.load_state_dict(kept.model)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.optimizer.items():
        number, field = name.split(".")
        state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return kept.step


def _key(lessons: Sequence[Lesson], course: Course) -> str:
    """Names captures, encoders (by what they say) and course."""
    digest = hashlib.sha256(repr((course.n_steps, course.seed)).encode())
    for each in lessons:
        for part in (each.views, each.pose, each.mouth, each.upper):
            digest.update(np.ascontiguousarray(part.numpy()).tobytes())
    return digest.hexdigest()
