"""Gaussians that ride on the head model's triangles."""

import math

import pytest
import torch
from torch import Tensor

from shared.avatar_method import Performance
from shared.avatar_methods import rigged_gaussians
from shared.avatar_methods.rigged_gaussians import RiggedGaussians
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.geometry.cameras import project
from shared.head_model import HeadPose, joint_transforms
from shared.rigging.expression_code import N_TURN_CODES
from shared.rigging.face_binding import CHILD_SHRINK, MAX_DISTANCE
from tests.tracked_person import make_seeds, make_subject

TURN = 0.3
"""By how much a test turns the head, rad."""


@pytest.fixture
def model() -> RiggedGaussians:
    """A model before training, of a person whose torso stands still."""
    return rigged_gaussians.create(make_subject(), make_seeds(), {}, 0)


def is_in(model: RiggedGaussians, *names: str) -> Tensor:
    """Which Gaussians ride on triangles of these regions. [N]"""
    labels = model.subject.head_model.face_regions[model.binding].long()
    return torch.isin(labels, torch.tensor([REGIONS.index(name) for name in names]))


def rides_only_on(model: RiggedGaussians, joint: int) -> Tensor:
    """Which Gaussians ride on triangles that follow one joint alone. [N]"""
    head_model = model.subject.head_model
    alone = (head_model.weights[:, joint] == 1)[head_model.faces].all(1)
    return alone[model.binding]


def disturb(model: RiggedGaussians) -> None:
    """Corrections as training could have learned them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        reach = model._reach()
        model.moves.copy_(0.1 * reach * torch.randn(model.moves.shape, generator=generator))
        model.tints.copy_(0.1 * reach * torch.randn(model.tints.shape, generator=generator))
        model.head_shares.copy_(0.3 * torch.rand(model.head_shares.shape, generator=generator))


def first_frame(model: RiggedGaussians) -> HeadPose:
    """Motion of the first training frame. [1, ...]"""
    return HeadPose(*(values[:1] for values in model.subject.training_pose))


def test_gaussians_start_at_their_pixels(model: RiggedGaussians) -> None:
    """Posed as in the seeds' frame, they are drawn where the seeds are, in their colours."""
    seeds = make_seeds()[0]

    posed = model.pose(model.training_condition(0))[0]

    back = project(posed.means, model.subject.viewmat, model.subject.K)
    torch.testing.assert_close(back, seeds.pixels, atol=0.02, rtol=0)
    torch.testing.assert_close(posed.colors, seeds.colors)


def test_the_face_turns_with_the_head_and_the_torso_stays(model: RiggedGaussians) -> None:
    """What rides on the neck's joint moves as a rigid body, what rides on the torso's does not."""
    straight = first_frame(model)
    turned = straight._replace(rotation=straight.rotation + torch.tensor([0.0, TURN, 0.0]))
    face, torso = rides_only_on(model, 1), rides_only_on(model, 0)
    assert face.sum() > 50
    assert torso.sum() > 50

    before = model.pose(model.condition(Performance(straight))[0])[0].means
    after = model.pose(model.condition(Performance(turned))[0])[0].means

    torch.testing.assert_close(after[torso], before[torso], atol=1e-5, rtol=0)
    joints = model.subject.head_model.joints
    (one, shift_one), (two, shift_two) = (joint_transforms(joints, m) for m in (straight, turned))
    at_rest = (before[face] - shift_one[0, 1] - straight.translation) @ one[0, 1]
    expected = at_rest @ two[0, 1].T + shift_two[0, 1] + turned.translation
    torch.testing.assert_close(after[face], expected, atol=1e-4, rtol=0)
    assert (after - before)[face].norm(dim=1).median() > 0.01


def test_rendering_equals_training(model: RiggedGaussians) -> None:
    """The kernel used without gradients gives the Gaussians of the torch code."""
    disturb(model)
    condition = model.condition(model.subject.training_performance)[11]

    trained = model.pose(condition)[0]
    with torch.no_grad():
        rendered = model.pose(condition)[0]

    for slow, fast in zip(trained, rendered, strict=True):
        torch.testing.assert_close(fast, slow.detach(), atol=1e-5, rtol=1e-4)


def test_a_head_share_of_one_goes_with_the_head(model: RiggedGaussians) -> None:
    """A strand that hangs over the shoulder can learn to follow the head."""
    torso = rides_only_on(model, 0)
    straight = first_frame(model)
    turned = straight._replace(rotation=straight.rotation + torch.tensor([0.0, TURN, 0.0]))
    start = model.pose(model.condition(Performance(straight))[0])[0].means
    with torch.no_grad():
        model.head_shares.fill_(1.0)

    shared = [
        model.pose(model.condition(Performance(motion))[0])[0].means
        for motion in (straight, turned)
    ]

    joints = model.subject.head_model.joints
    turns = [joint_transforms(joints, motion)[0][0, 1] for motion in (straight, turned)]
    rest = model.rest[torso]
    moved = (shared[1] - shared[0])[torso]
    lever = joint_transforms(joints, turned)[1][0, 1] - joint_transforms(joints, straight)[1][0, 1]
    expected = rest @ (turns[1] - turns[0]).T + lever
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)
    assert (shared[0] - start)[torso].norm(dim=1).max() < 0.1


def test_expression_leaves_hair_and_torso_alone(model: RiggedGaussians) -> None:
    """No gradient of their expression corrections; the face has one."""
    gaussians = model.pose(model.training_condition(7))[0]
    (gaussians.means.square().sum() + gaussians.colors.square().sum()).backward()

    still, face = is_in(model, "hair", "torso"), is_in(model, "face", "lips")
    for parameter in (model.moves, model.tints):
        assert parameter.grad is not None
        assert 0.0 == parameter.grad[:-N_TURN_CODES, still].abs().max()
        assert parameter.grad[:-N_TURN_CODES, face].abs().max() > 0
        assert parameter.grad[-N_TURN_CODES:, still].abs().max() > 0


def test_split_pairs_shrink_and_part(model: RiggedGaussians) -> None:
    """Both of a pair shrink; the copy moves by its own size, the parent stays."""
    n = len(model.local)
    is_new, shrinks = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
    is_new[3], shrinks[:4] = True, True
    local, scales = model.local.detach().clone(), model.log_scales.detach().clone()

    model.split(shrinks, is_new, torch.full((n, 3), 2.0))

    torch.testing.assert_close(model.local[3], local[3] + 2 * scales[3].exp())
    assert torch.equal(local[~is_new], model.local[~is_new])
    torch.testing.assert_close(model.log_scales[:4], scales[:4] - CHILD_SHRINK)
    assert torch.equal(scales[4:], model.log_scales[4:])
    assert 1.6 == pytest.approx(math.exp(CHILD_SHRINK))


@pytest.mark.parametrize("name", ["local", "log_scales", "moves", "tints", "head_shares", "body"])
def test_regularisation_holds_each_correction(model: RiggedGaussians, name: str) -> None:
    """Distance, size, corrections and the torso's bends cost something."""
    before = model.regularisation(9).item()
    with torch.no_grad():
        values = getattr(model, name)
        values[9 if name == "body" else slice(None)] += 2 * MAX_DISTANCE

    after = model.regularisation(9)

    assert after.item() > before
    assert torch.isfinite(after)


@pytest.mark.parametrize("frame", [0, 29])
def test_the_first_and_the_last_frame_have_a_penalty(model: RiggedGaussians, frame: int) -> None:
    """They have one neighbour only."""
    assert torch.isfinite(model.regularisation(frame))


def test_training_frames_have_corrections_of_their_own(model: RiggedGaussians) -> None:
    """A correction of one frame's head pose moves that frame alone."""
    with torch.no_grad():
        before = [model.pose(model.training_condition(frame))[0].means for frame in (4, 5)]
        model.pose_deltas[4, 3] += 0.01
        after = [model.pose(model.training_condition(frame))[0].means for frame in (4, 5)]

    shift = (after[0] - before[0])[rides_only_on(model, 1), 0]
    torch.testing.assert_close(shift, torch.full_like(shift, 0.01), atol=1e-5, rtol=0)
    assert torch.equal(before[1], after[1])


def test_settling_refits_the_torso_to_what_was_learned(model: RiggedGaussians) -> None:
    """A torso that was found to follow the head in training follows it afterwards."""
    pose = model.subject.training_pose
    head = torch.cat([pose.rotation, pose.translation], 1)
    with torch.no_grad():
        model.body[:, 3] = 0.5 * head[:, 3]

    model.settle()

    followed = model.condition(Performance(pose))[
        :, -len(model.code_offset) - 6 : -len(model.code_offset)
    ]
    error = followed[:, 3] - model.body[:, 3]
    assert error.std() < 0.15 * model.body[:, 3].std()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("binding", torch.tensor([10**6])),
        ("binding", torch.tensor([-1])),
        ("colors", torch.zeros(1, 4)),
        ("moves", torch.zeros(2, 1, 2)),
        ("opacity_logits", torch.zeros(1, dtype=torch.float64)),
        ("body_timing", torch.zeros(3)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, value: Tensor) -> None:
    """A stored file may be anything; kernels must never read outside of arrays."""
    subject = make_subject()
    model = rigged_gaussians.create(subject, make_seeds(spacing=60), {}, 0)
    tensors = {
        key: tensor.index_select(dim, torch.tensor([0])) if dim is not None else tensor
        for key, tensor in model.tensors().items()
        for dim in [model.per_gaussian().get(key)]
    }

    with pytest.raises(InvalidInput, match=name) as refused:
        rigged_gaussians.restore(subject, tensors | {name: value}, {})

    assert "bad_avatar" == refused.value.code


@pytest.mark.parametrize("options", [{"n_codes": 3}, {"n_expression_codes": -1}])
def test_options_that_mean_nothing_are_refused(
    options: dict[str, int | float | str | bool],
) -> None:
    """A misspelt option must not be passed over."""
    with pytest.raises(InvalidInput) as refused:
        rigged_gaussians.create(make_subject(), make_seeds(), options, 0)

    assert "bad_method_options" == refused.value.code
