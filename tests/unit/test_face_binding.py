"""Binding to faces through clone, split and prune, as GaussianAvatars has it."""

import numpy as np
import pytest
import torch

from services.trainer.densification import choose_change
from services.trainer.optimizer import Adam
from shared.avatar_method import MethodOptions
from shared.avatar_methods import rigged_gaussians
from shared.avatar_methods.rigged_gaussians import RiggedGaussians
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.rigging.face_binding import last_of_faces, split_offsets
from shared.rigging.schedule import RESET_LOGIT
from tests.tracked_person import make_seeds, make_subject

PAPER: MethodOptions = {
    "init": "faces",
    "position_weight": 0.01,
    "scale_weight": 1.0,
    "sh_degree": 3,
    "tune_flame": True,
    "opacity_reset_every": 0.1,
}


@pytest.fixture
def model() -> RiggedGaussians:
    """A model with a Gaussian on every triangle and the paper's options."""
    return rigged_gaussians.create(make_subject(), [], PAPER, 0)


def test_every_face_begins_with_its_gaussians() -> None:
    """As many as were asked for, teeth included, in the triangle's middle with one."""
    subject = make_subject()
    teeth = (subject.head_model.face_regions == REGIONS.index("teeth")).nonzero()[:, 0]

    one = rigged_gaussians.create(subject, [], {"init": "faces"}, 0)
    three = rigged_gaussians.create(subject, [], {"init": "faces", "gaussians_per_face": 3}, 0)

    n_faces = len(subject.head_model.faces)
    assert [1] * n_faces == torch.bincount(one.binding, minlength=n_faces).tolist()
    assert [3] * n_faces == torch.bincount(three.binding, minlength=n_faces).tolist()
    assert len(teeth) > 0
    assert not bool(one.local.any())
    assert not bool(one.log_scales.any())
    assert 0.1 == pytest.approx(float(torch.sigmoid(one.opacity_logits[0].detach())))


def test_the_most_opaque_of_a_dying_face_stays() -> None:
    """Faces that keep one Gaussian, or never had one, need no other."""
    binding = torch.tensor([0, 0, 0, 2, 2, 5])
    doomed = torch.tensor([True, True, True, True, False, True])
    opacities = torch.tensor([0.1, 0.3, 0.2, 0.9, 0.4, 0.0])

    spared = last_of_faces(binding, doomed, opacities)

    assert [False, True, False, False, False, True] == spared.tolist()


def test_no_face_loses_its_last_gaussian(model: RiggedGaussians) -> None:
    """Even if all are transparent; with pixels as the start there is no such promise."""
    doomed = torch.ones(len(model.binding), dtype=torch.bool)
    free = rigged_gaussians.create(make_subject(), make_seeds(), {}, 0)

    assert bool(model.spare(doomed).all())
    assert not bool(free.spare(torch.ones(len(free.binding), dtype=torch.bool)).any())


def test_copies_inherit_their_parents_face(model: RiggedGaussians) -> None:
    """Through pruning and copying in one go, with the optimizer's state."""
    optimizer = Adam(model)
    parents = model.binding.clone()
    opacities = torch.full((len(parents),), 0.5)
    opacities[::7] = 0.0
    places = np.random.default_rng(1).uniform(0, 32, (len(parents), 2)).astype(np.float32)
    errors = [(np.ones((32, 32), np.float32), places)]
    change = choose_change(errors, opacities, len(parents) + 40, np.random.default_rng(0))

    optimizer.select(change.sources, change.is_new)

    assert int(change.is_new.sum()) > 40
    assert torch.equal(parents[change.sources], model.binding)


@pytest.mark.parametrize("size", [0.002, 1.0, 50.0])
def test_split_offsets_are_as_large_as_the_gaussian_in_the_world(size: float) -> None:
    """Whatever the triangle's size: the reference code's come out ``size`` times too small."""
    log_scales = torch.full((4000, 3), 0.5).log()
    noise = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))

    in_world = size * split_offsets(log_scales, noise)

    assert 1.0 == pytest.approx(float(in_world.std() / (size * 0.5)), rel=0.05)


def test_opacities_are_reset_at_their_times_alone(model: RiggedGaussians) -> None:
    """At each tenth of the first half of a training; what is fainter already stays so."""
    with torch.no_grad():
        model.opacity_logits.fill_(2.0)
        model.opacity_logits[0] = -9.0
    told = {step: model.begin_step(step, 200) for step in (0, 19, 21, 120, 199)}

    assert {()} == set(told.values())
    assert 2.0 == model.opacity_logits[1].item()
    assert ("opacity_logits",) == model.begin_step(20, 200)
    assert RESET_LOGIT == pytest.approx(model.opacity_logits[1].item())
    assert -9.0 == model.opacity_logits[0].item()


def test_colours_depend_on_the_camera_with_harmonics(model: RiggedGaussians) -> None:
    """And on nothing but the camera's place; degree by degree as the training goes on."""
    with torch.no_grad():
        model.harmonics.normal_(generator=torch.Generator().manual_seed(0))
    condition = model.training_condition(3)
    moved = model.subject.viewmat.clone()
    moved[0, 3] += 0.4

    with torch.no_grad():
        model.begin_step(0, 100)
        flat = model.pose(condition)
        model.begin_step(99, 100)
        ahead, aside = model.pose(condition), model.pose(model.seen_from(condition, moved))

    torch.testing.assert_close(flat.colors, model.colors)
    assert torch.equal(ahead.means, aside.means)
    assert float((ahead.colors - aside.colors).abs().mean()) > 0.01
    assert float((ahead.colors - flat.colors).abs().mean()) > 0.01


def test_tuned_expressions_are_their_frames_own(model: RiggedGaussians) -> None:
    """A correction moves the face in its frame, and in no other and in no motion."""
    pose = model.subject.training_pose
    with torch.no_grad():
        before = [model.pose(model.training_condition(frame)).means for frame in (4, 5)]
        driven = model.pose(model.condition(pose)[4]).means
        parameters = dict(model.named_parameters())
        parameters["jaw_pose_deltas"][4, 0] += 0.1
        parameters["expr_deltas"][4] += 0.2
        after = [model.pose(model.training_condition(frame)).means for frame in (4, 5)]

    assert float((after[0] - before[0]).norm(dim=1).max()) > 1e-3
    assert torch.equal(before[1], after[1])
    assert torch.equal(driven, model.pose(model.condition(pose)[4]).means.detach())


def test_everything_that_is_tuned_has_a_gradient(model: RiggedGaussians) -> None:
    """A picture reaches harmonics, expression, jaw, neck and eyes."""
    model.begin_step(99, 100)
    with torch.no_grad():
        model.harmonics.normal_(generator=torch.Generator().manual_seed(0))
    posed = model.pose(model.training_condition(4))

    (posed.means.square().sum() + posed.colors.square().sum()).backward()

    for name in ("harmonics", "expr_deltas", "jaw_pose_deltas", "eyes_pose_deltas"):
        gradient = getattr(model, name).grad
        assert gradient is not None
        assert float(gradient.abs().max()) > 0, name


def test_the_papers_weights_count_more(model: RiggedGaussians) -> None:
    """The same Gaussians far from their triangles cost what the weights say."""
    plain = rigged_gaussians.create(make_subject(), [], {"init": "faces"}, 0)
    for each in (model, plain):
        with torch.no_grad():
            each.log_scales.fill_(-9.0)
            each.local.fill_(2.0)

    ratio = float((model.regularisation(0) / plain.regularisation(0)).detach())

    assert 10.0 == pytest.approx(ratio, rel=1e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"init": "points"},
        {"gaussians_per_face": 0},
        {"sh_degree": 4},
        {"sh_degree": 1.5},
        {"tune_flame": 1},
        {"position_weight": -1.0},
        {"opacity_reset_every": 1.5},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int | float | str | bool]) -> None:
    """With what there may be."""
    with pytest.raises(InvalidInput) as refused:
        rigged_gaussians.create(make_subject(), [], options, 0)

    assert "bad_method_options" == refused.value.code


def test_paper_options_are_stored_and_restored(model: RiggedGaussians) -> None:
    """All that was learned comes back, and the default's table refuses what it does not know."""
    tensors = {name: value + 0.25 for name, value in model.tensors().items() if name != "binding"}
    tensors["binding"] = model.binding

    restored = rigged_gaussians.restore(make_subject(), tensors, PAPER)

    assert torch.equal(tensors["harmonics"], restored.harmonics)
    assert torch.equal(tensors["expr_deltas"], restored.tensors()["expr_deltas"])
    with pytest.raises(InvalidInput, match="harmonics"):
        rigged_gaussians.restore(make_subject(), tensors, PAPER | {"sh_degree": 2})
