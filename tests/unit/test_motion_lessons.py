"""The tracked mesh teaches talkers how a face moves."""

import pytest
import torch
from torch import Tensor

from shared.avatar_method import Seed, Subject
from shared.avatar_methods import gaussian_talker, surfel_talker, talking_gaussian
from shared.contracts.tracked_dataset import REGIONS
from shared.head_model import neutral_vertices
from shared.talker_parts.cloud_start import mean_face
from shared.talker_parts.motion_lessons import (
    MOST_STEPS,
    SkinMotion,
    bind_to_skin,
    expressive_mesh,
    n_lessons,
    teach_motion,
)
from tests.tracked_person import make_seeds, make_subject

N_STEPS = 50


@pytest.fixture(scope="module")
def subject() -> Subject:
    """A made-up person."""
    return make_subject()


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    """Points of its pictures."""
    return make_seeds(spacing=4)


def bind_middles(subject: Subject, region: str) -> tuple[SkinMotion, Tensor]:
    """Points in the middle of a region's triangles, and those triangles."""
    model = subject.head_model
    faces = model.faces[model.face_regions == REGIONS.index(region)].long()
    rest = mean_face(subject, neutral_vertices(model, subject.shape))[faces].mean(1)
    labels = torch.full((len(rest),), REGIONS.index(region))
    return bind_to_skin(subject, rest, labels), faces


def test_points_go_with_their_triangles(subject: Subject) -> None:
    """The middle of a triangle of lips moves by the mean of its corners."""
    skin, faces = bind_middles(subject, "lips")
    mean = mean_face(subject, neutral_vertices(subject.head_model, subject.shape))

    moved = skin.at(3)

    expected = (expressive_mesh(subject, 3) - mean)[faces].mean(1)
    assert len(moved)
    assert moved.norm(dim=1).max() > 1e-4
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=1e-3)


def test_head_pose_is_no_motion_of_the_face(subject: Subject) -> None:
    """The mesh is compared with its head at rest."""
    performance = subject.training_performance
    turned = performance.pose._replace(rotation=performance.pose.rotation + 0.3)
    other = subject._replace(training_performance=performance._replace(pose=turned))

    torch.testing.assert_close(expressive_mesh(subject, 2), expressive_mesh(other, 2))


def test_lessons_are_learned(subject: Subject) -> None:
    """One number per frame is known, and says how far the lips move."""
    skin, _ = bind_middles(subject, "lips")
    n_frames = len(subject.training_pose.expr)
    codes = torch.eye(n_frames)
    conditions = torch.cat([torch.zeros(n_frames, 15), codes], 1)
    table = torch.nn.Parameter(torch.zeros(n_frames, len(skin.corners), 3))

    def move(several: Tensor, rows: Tensor) -> Tensor:
        return torch.einsum("bt,tnx->bnx", several[:, 15:], table[:, rows])

    def error() -> float:
        moved = move(conditions, torch.arange(len(skin.corners))).detach()
        aims = torch.stack([skin.at(frame) for frame in range(n_frames)])
        return float((moved - aims).square().mean() / aims.square().mean())

    before = error()
    teach_motion(skin, conditions, move, {table: 0.2}, 100)

    assert 1.0 == pytest.approx(before)
    assert error() < 0.3
    assert table.grad is None


def test_names_of_frames_come_from_others(subject: Subject) -> None:
    """What only names a frame says nothing in a lesson, as head pose does not."""
    skin, _ = bind_middles(subject, "lips")
    n_frames = len(subject.training_pose.expr)
    count = torch.arange(float(n_frames))[:, None]
    conditions = torch.cat([count.expand(-1, 15), torch.zeros(n_frames, 1), count], 1)
    scale = torch.nn.Parameter(torch.zeros(()))
    told: list[Tensor] = []

    def move(several: Tensor, rows: Tensor) -> Tensor:
        told.append(several)
        return scale * torch.ones(len(several), len(rows), 3)

    teach_motion(skin, conditions, move, {scale: 1.0}, 3, n_names=1)

    for lesson in told:
        assert torch.equal(lesson[:, 0], lesson[:, -1])
        assert not lesson[:, 15].any()


@pytest.mark.parametrize(
    ("method", "begins"),
    [
        (gaussian_talker, gaussian_talker.COARSE_STAGE),
        (surfel_talker, surfel_talker.COARSE_STAGE),
        (talking_gaussian, talking_gaussian.STATIC_STAGE),
    ],
)
def test_talkers_are_taught_once(
    method: object, begins: float, subject: Subject, seeds: list[Seed]
) -> None:
    """When they begin to move: networks of motion change; places and what is heard do not."""
    assert hasattr(method, "create")
    model = method.create(subject, seeds, {}, 0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}

    heard: list[float] = []

    def listen(fraction: float, message: str) -> None:
        assert "mesh" in message
        heard.append(fraction)

    told = {step: model.begin_step(step, N_STEPS, listen) for step in range(N_STEPS)}

    (at,) = (step for step, names in told.items() if names)
    assert heard
    assert sorted(heard) == heard
    assert max(heard) < 1
    assert round(begins * N_STEPS) == at
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert changed <= set(told[at])
    assert not {name for name in changed if "hearing" in name or name in {"rest", "colors"}}


def test_long_trainings_are_taught_no_longer() -> None:
    """Lessons grow with the training up to a bound."""
    assert (40, MOST_STEPS) == (n_lessons(100), n_lessons(24_000))
