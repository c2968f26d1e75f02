"""Trains the emotional motion model: first how regions move together, then what speech does.

The correlation network learns to fill in hidden regions of tracked faces. Frozen, it then
supervises the speech network (the correlation loss of CSTalk, arXiv 2404.18604): for what the
captures show, and for emotions that nobody showed while saying this, it tells each region beside
the mouth what becomes the others. The mouth itself is left to the sound, which knows it best.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from services.audio2motion.emotion_net import (
    N_SEEN,
    CorrelationNet,
    EmotionNet,
    Parts,
    felt_features,
)
from services.audio2motion.translator_net import pose_share
from services.audio2motion.translator_training import (
    Course,
    Lesson,
    resume_training,
    training_state,
)
from shared.progress import Progress
from shared.training_checkpoints import save_checkpoint

CORRELATION = 1.0
"""Weight of the correlation loss; 0 is the ablation."""
_CORRELATION_SHARE = 0.75
"""Of all steps, for the correlation network."""
_NOISE = 0.17
"""Variance of the strongest mouth shape that sound does not explain, to that it does."""
_UPPER_NOISE = 5.0
_MAX_FRAMES = 3000
_CORRELATION_RATE, _SPEECH_RATE = 3e-3, 3e-3
_FACES = 128
_FACE_NOISE = 0.1
_RUN_FRAMES = 100
_OTHERWISE = 0.5
"""How often the correlation loss asks for an emotion that was not shown."""
_STAY = 1e-3
_CHECKPOINTS = 10


class FeltLesson(NamedTuple):
    """One capture with its emotions: valid frames alone, in order."""

    spoken: Lesson
    feeling: Tensor  # [T, E] intensity of each emotion


class Emotional(nn.Module):
    """Both networks."""

    def __init__(
        self, net: EmotionNet, groups: Sequence[Sequence[int]], n_emotions: int, *, seed: int
    ) -> None:
        super().__init__()
        self.net = net
        self.correlation = CorrelationNet(groups, n_emotions, seed=seed)


def train_emotional(
    model: Emotional, lessons: Sequence[FeltLesson], course: Course, progress: Progress
) -> None:
    """Solve for the decoder, then train; a stopped training goes on from its checkpoint.

    The first group of ``model.correlation`` is the mouth.
    """
    faces = torch.cat([_face(each.spoken) for each in lessons])
    model.net.scale.copy_(faces.square().mean(0).sqrt().clamp_min(1e-4))
    with torch.no_grad():
        heard = [model.net.spoken.features(each.spoken.views, each.spoken.pose) for each in lessons]
    solve_speech(model.net, lessons, heard)
    with torch.no_grad():
        parts = [
            model.net.parts(features, each.spoken.speaker)
            for features, each in zip(heard, lessons, strict=True)
        ]
    optimizer = torch.optim.Adam(
        [
            {"params": list(model.correlation.parameters()), "lr": _CORRELATION_RATE},
            {"params": [model.net.learned], "lr": _SPEECH_RATE},
        ],
        foreach=False,
    )
    key = _key(lessons, course)
    n_first = round(_CORRELATION_SHARE * course.n_steps)
    every = max(1, course.n_steps // _CHECKPOINTS)
    for step in range(resume_training(model, optimizer, course, key), course.n_steps):
        made = torch.Generator().manual_seed(course.seed * 1_000_003 + step)
        optimizer.zero_grad()
        if step < n_first:
            _hidden_cost(model, lessons, faces, made).backward()
        else:
            model.correlation.requires_grad_(requires_grad=False)
            cost = _STAY * model.net.learned.square().sum()
            for each, part in zip(lessons, parts, strict=True):
                cost = cost + _speech_cost(model, each, part, made) / len(lessons)
            cost.backward()
        optimizer.step()
        if course.checkpoints is not None and (step + 1) % every == 0:
            save_checkpoint(course.checkpoints, key, training_state(model, optimizer, step + 1))
        if (step + 1) % 10 == 0:
            progress((step + 1) / course.n_steps, f"training, step {step + 1}")


def solve_speech(net: EmotionNet, lessons: Sequence[FeltLesson], heard: Sequence[Tensor]) -> None:
    """Set the decoder to the best weights for the waves as they are (kernel ridge regression).

    Args:
        net: Its decoder is set.
        lessons: The captures.
        heard: Features of each. [T, F]
    """
    stride = -(-sum(len(each) for each in heard) // _MAX_FRAMES)
    with torch.no_grad():
        features = torch.cat([each[::stride] for each in heard]).double()
        feeling = torch.cat([each.feeling[::stride] for each in lessons]).double()
        voices = [
            torch.cat([torch.ones(1), net.spoken.voices.weight[each.spoken.speaker]])
            for each in lessons
        ]
        voice = torch.cat(
            [one.repeat(len(each[::stride]), 1) for one, each in zip(voices, heard, strict=True)]
        ).double()
        mouth = torch.cat([each.spoken.mouth[::stride] for each in lessons]).double()
        upper = torch.cat([each.spoken.upper[::stride] for each in lessons]).double()
        noises = _NOISE * (1 + torch.arange(mouth.shape[1], dtype=torch.float64))
        calm = torch.full((upper.shape[1],), _UPPER_NOISE, dtype=torch.float64)
        for of_mouth, aims, noise, own, felt in (
            (True, mouth, noises, net.spoken.mouth, net.mouth),
            (False, upper, calm, net.spoken.upper, net.upper),
        ):
            counted = features * pose_share(features.shape[1], of_mouth=of_mouth).double()
            lasting = felt_features(counted)
            alike = (counted @ counted.T) * (voice @ voice.T)
            alike += (lasting @ lasting.T) * (feeling @ feeling.T)
            values, vectors = torch.linalg.eigh(alike)
            turned = (vectors.T @ aims) / (values.clamp_min(0)[:, None] + noise)
            dual = vectors @ turned  # [T, columns]
            for number in range(len(own)):
                own[number] = (counted.T @ (voice[:, number, None] * dual)).float()
            for number in range(len(felt)):
                felt[number] = (lasting.T @ (feeling[:, number, None] * dual)).float()
        net.basis.copy_(_main_directions(features))


def fill_in(model: Emotional, face: Tensor, feeling: Tensor, hidden: int) -> Tensor:
    """What region ``hidden`` does, told from the others. [T, D], [T, E] -> [T, columns of it]"""
    is_hidden = torch.zeros(len(face), len(model.correlation.groups), dtype=torch.bool)
    is_hidden[:, hidden] = True
    group = model.correlation.groups[hidden]
    told: Tensor = model.correlation(face / model.net.scale, feeling, is_hidden)
    return told[:, group] * model.net.scale[group]


def _hidden_cost(
    model: Emotional, lessons: Sequence[FeltLesson], faces: Tensor, made: torch.Generator
) -> Tensor:
    """Error of hidden regions, in variances."""
    feeling = torch.cat([each.feeling for each in lessons])
    drawn = torch.randint(0, len(faces), (_FACES,), generator=made)
    n_regions = len(model.correlation.groups)
    is_hidden = torch.rand(_FACES, n_regions, generator=made) < 0.5  # noqa: PLR2004 - even odds
    one = torch.randint(0, n_regions, (_FACES,), generator=made)
    is_hidden[torch.arange(_FACES), one] = True
    face = faces[drawn] / model.net.scale
    noisy = face + _FACE_NOISE * torch.randn(face.shape, generator=made)
    off = (model.correlation(noisy, feeling[drawn], is_hidden) - face).square()
    errors = [
        off[is_hidden[:, number]][:, group].mean()
        for number, group in enumerate(model.correlation.groups)
        if bool(is_hidden[:, number].any())
    ]
    return torch.stack(errors).mean()


def _speech_cost(model: Emotional, each: FeltLesson, parts: Parts, made: torch.Generator) -> Tensor:
    """Error of a run of frames of the upper face, and the correlation loss, in variances."""
    n_run = min(_RUN_FRAMES, len(parts.own))
    start = int(torch.randint(0, len(parts.own) - n_run + 1, (1,), generator=made))
    run = slice(start, start + n_run)
    feeling = each.feeling[run]
    spoken = Parts(*(part[run] for part in parts))
    face = model.net.face(spoken, feeling)
    n_regions = len(model.correlation.groups)
    if n_regions == 1:
        return 0 * face.sum()
    n_mouth = each.spoken.mouth.shape[1]
    upper = (face[:, n_mouth:] - each.spoken.upper[run]) / model.net.scale[n_mouth:]
    cost = upper.square().mean()
    if CORRELATION == 0:
        return cost
    if float(torch.rand(1, generator=made)) < _OTHERWISE:
        which = int(torch.randint(0, feeling.shape[1], (1,), generator=made))
        feeling = torch.zeros_like(feeling)
        feeling[:, which] = torch.rand(1, generator=made)
        face = model.net.face(spoken, feeling)
    for hidden in range(1, n_regions):
        group = model.correlation.groups[hidden]
        with torch.no_grad():
            told = fill_in(model, face, feeling, hidden)
        away = (face[:, group] - told) / model.net.scale[group]
        cost = cost + CORRELATION * away.square().mean() / (n_regions - 1)
    return cost


def _main_directions(features: Tensor) -> Tensor:
    """Directions in which ``features`` differ most, by one over how far. [T, F] -> [F, N_SEEN]"""
    values, vectors = torch.linalg.eigh(features @ features.T)
    n_kept = min(N_SEEN, len(values))
    sizes, left = values[-n_kept:].clamp_min(1e-9), vectors[:, -n_kept:]
    directions = torch.zeros(features.shape[1], N_SEEN)
    directions[:, :n_kept] = (features.T @ (left / sizes) * len(features) ** 0.5).float()
    return directions


def _face(lesson: Lesson) -> Tensor:
    return torch.cat([lesson.mouth, lesson.upper], 1)


def _key(lessons: Sequence[FeltLesson], course: Course) -> str:
    """Names captures, labels and course."""
    digest = hashlib.sha256(repr((course.n_steps, course.seed, CORRELATION)).encode())
    for each in lessons:
        for part in (each.spoken.views, each.spoken.pose, _face(each.spoken), each.feeling):
            digest.update(np.ascontiguousarray(part.numpy()).tobytes())
    return digest.hexdigest()
