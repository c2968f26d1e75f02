"""Surfels deformed by spatial-audio attention: the structure of its source."""

import pytest
import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions
from shared.avatar_methods import surfel_talker
from shared.avatar_methods.surfel_talker import (
    COARSE_STAGE,
    FRAME,
    FREEZE_SHARE,
    PARTS,
    TOKENS,
    SurfelTalker,
)
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.gaussians import Surfels
from shared.geometry.rotations import rotate_by_quaternions
from shared.talker_parts.cloud import TORSO
from shared.talker_parts.frame_code import N_CODE, FrameCode
from shared.talker_parts.masked_attention import MASK_WEIGHT, is_lower_face, masked_penalty
from tests.tracked_person import make_seeds, make_subject


def make_model(options: MethodOptions | None = None) -> SurfelTalker:
    """A model before training."""
    return surfel_talker.create(make_subject(), make_seeds(spacing=4), options or {}, 0)


@pytest.fixture
def model() -> SurfelTalker:
    """With its usual options."""
    return make_model()


def count(module: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def gradient_of(model: SurfelTalker, name: str) -> Tensor | None:
    """Of the loss computed last."""
    return model.get_parameter(name).grad


def test_what_is_posed_are_surfels(model: SurfelTalker) -> None:
    """One layer of discs with two axes."""
    (posed,) = model.pose(model.training_condition(2))

    assert isinstance(posed, Surfels)
    assert (len(model.rest), 2) == tuple(posed.scales.shape)


def test_modules_have_their_source_s_parameters(model: SurfelTalker) -> None:
    """Counted by hand: five tokens, and heads of a disc's two scales."""
    heads = 5 * (64 * 128 + 128) + 128 * 13 + 13

    assert ("audio", "expression", "camera", "frame", "null") == TOKENS
    assert 32 * 64 + 64 * 64 == count(model.audio_token)
    assert 7 * 64 + 64 * 64 == count(model.expression_token)
    assert 12 * 64 + 64 * 64 == count(model.camera_token)
    assert N_CODE * 64 + 64 * 64 == count(model.frame_token)
    assert (1, 64) == tuple(model.null_token.shape)
    assert heads == count(model.heads)
    assert (5, 64) == tuple(model.tokens(model.training_condition(0)).shape)


def test_the_coarse_stage_is_static(model: SurfelTalker) -> None:
    """Nothing that is heard moves anything."""
    model.begin_step(round(1000 * 0.5 * COARSE_STAGE), 1000)
    first = model.training_condition(2)
    changed = first.clone()
    changed[15:] += 1

    (posed,), (again,) = model.pose(first), model.pose(changed)
    posed.means.sum().backward()

    assert torch.equal(posed.means, again.means)
    assert gradient_of(model, "heads.rest.1.weight") is None


def test_the_fine_stage_trains_everything(model: SurfelTalker) -> None:
    """Gradients reach what hears, looks and knows the frame."""
    model.begin_step(round(100 * COARSE_STAGE), 100)

    (posed,) = model.pose(model.training_condition(2))
    sum((values.square().sum() for values in posed), torch.zeros(())).backward()

    still = {"pose_deltas", "body"}  # of these only one frame's rows
    silent = [n for n, p in model.named_parameters() if n not in still and p.grad is None]
    assert [] == silent
    for name in ("hearing.net.convolutions.0.weight", "expression_token.0.weight"):
        gradient = gradient_of(model, name)
        assert gradient is not None
        assert gradient.abs().max() > 0
    gradient = gradient_of(model, "frame_token.0.weight")
    assert gradient is not None
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("part", list(PARTS))
def test_only_the_part_is_deformed(part: str) -> None:
    """Speech moves the face, the head, or the torso too; all of them are drawn."""
    model = make_model({"part": part})
    is_still = torch.isin(model.labels, torch.tensor(PARTS[part], dtype=torch.long))
    condition = model.training_condition(2)
    loud = condition.clone()
    loud[15:] += 3

    (quiet,), (moved,) = model.pose(condition), model.pose(loud)

    assert torch.equal(quiet.means[is_still], moved.means[is_still])
    assert not torch.equal(quiet.means[~is_still], moved.means[~is_still])
    assert {"all": 0, "head": 1}.get(part, len(REGIONS) - 7) == len(PARTS[part])
    assert bool((model.labels == TORSO).any())


def test_the_frame_s_code_is_frozen_at_last(model: SurfelTalker) -> None:
    """Frames have codes of their own, then one, which is that of any motion."""
    model.begin_step(round(1000 * (FREEZE_SHARE - 0.1)), 1000)
    early = [model.training_condition(frame)[-N_CODE:] for frame in (2, 9)]
    model.begin_step(round(1000 * FREEZE_SHARE), 1000)
    late = [model.training_condition(frame)[-N_CODE:] for frame in (2, 9)]

    spoken = model.condition(make_subject().training_performance)

    assert not torch.equal(*early)
    assert torch.equal(*late)
    assert torch.equal(late[0].expand(len(spoken), -1), spoken[:, -N_CODE:])


def test_lessons_show_every_frame_s_code(model: SurfelTalker) -> None:
    """As names only: what comes before them is as ever."""
    conditions, n_names = model.lesson_conditions()

    assert N_CODE == n_names
    plain = model.condition(make_subject().training_performance)
    assert torch.equal(plain[:, :-N_CODE], conditions[:, :-N_CODE])
    for frame in (0, 9):
        assert torch.equal(model.frame_code.of(frame), conditions[frame, -N_CODE:])


def test_codes_are_learned_sung_or_silent() -> None:
    """A learned code is a parameter, sinusoids repeat by seed, none is zero."""
    learned, sung, silent = (FrameCode(kind, 50) for kind in ("learned", "sinusoid", "none"))

    assert [50 * N_CODE, 0, 0] == [count(code) for code in (learned, sung, silent)]
    assert torch.equal(sung.of(7), FrameCode("sinusoid", 50).of(7))
    assert 50 == len(sung.codes.unique(dim=0))
    assert 0 == silent.frozen().abs().max()


def test_attention_to_the_frame_s_code_costs(model: SurfelTalker) -> None:
    """And its gradient lowers that attention."""
    model.begin_step(500, 1000)
    model.pose(model.training_condition(3))
    attended = model.attended
    assert attended is not None

    model.regularisation(3).backward()

    gradient = gradient_of(model, "attention.query.weight")
    assert gradient is not None
    with torch.no_grad():
        query = model.attention.query.weight
        query -= 1e-2 * gradient / gradient.abs().max()
    model.pose(model.training_condition(3))
    assert model.attended is not None
    assert model.attended[:, FRAME].mean() < attended[:, FRAME].mean()


def test_attention_in_the_wrong_half_costs() -> None:
    """Sound above the nose and expression below it, more towards the end."""
    rest = torch.tensor([[0.0, -0.1, 0], [0, 0.1, 0], [0, -0.1, 0]])
    labels = torch.tensor([REGIONS.index(name) for name in ("lips", "brows", "hair")])
    lower = is_lower_face(rest, labels, 0.0)
    audio, expression = torch.tensor([0.9, 0.3, 0.0]), torch.tensor([0.6, 0.9, 0.9])

    costs = [masked_penalty(audio, expression, lower, done).item() for done in (0.0, 1.0)]

    assert [True, False, False] == lower.tolist()
    assert [0.0, pytest.approx(MASK_WEIGHT * 0.3)] == costs


def test_split_surfels_part_in_their_plane(model: SurfelTalker) -> None:
    """A child stays on its parent's disc."""
    n = len(model.rest)
    before = model.rest.detach().clone()
    everything = torch.ones(n, dtype=torch.bool)
    normals = rotate_by_quaternions(torch.tensor([0.0, 0, 1]).expand(n, 3), model.quats.detach())

    model.split(everything, everything, torch.ones(n, 3))

    moved = model.rest.detach() - before
    assert moved.norm(dim=1).min() > 0
    assert (moved * normals).sum(1).abs().max() < 1e-6


def test_attention_is_posed_as_further_colours(model: SurfelTalker) -> None:
    """One picture, eight channels."""
    condition = model.training_condition(4)

    (posed,), (shown,) = model.pose(condition), model.pose_attention(condition)

    assert (len(posed.means), 3 + len(TOKENS)) == tuple(shown.colors.shape)
    assert torch.equal(posed.colors, shown.colors[:, :3])


def test_poses_steadied_by_flow_are_asked_for_unless_refused() -> None:
    """The switch to the plain tracked pose."""
    assert "flow" == surfel_talker.needs({}).poses
    assert "tracked" == surfel_talker.needs({"poses": "tracked"}).poses


def test_the_weights_of_the_surface_are_options() -> None:
    """Zero switches a term off; whole numbers will do."""
    surface = surfel_talker.schedule({"normals": 0, "distortion": 10}).surface

    assert surface is not None
    assert (0.0, 10.0) == (surface.normals, surface.distortion)


@pytest.mark.parametrize(
    "options",
    [
        {"poses": "raft"},
        {"part": "torso"},
        {"frame_code": "cosine"},
        {"distortion": -1},
        {"normals": "some"},
        {"feather": 2.5},
        {"tokens": 5},
    ],
)
def test_options_that_mean_nothing_are_refused(options: MethodOptions) -> None:
    """By name, type and value, wherever they are read."""
    for read in (surfel_talker.needs, surfel_talker.schedule):
        with pytest.raises(InvalidInput) as refused:
            read(options)

        assert "bad_method_options" == refused.value.code


@pytest.mark.parametrize("name", ["log_scales", "frame_token.0.weight", "frame_code.codes"])
def test_tensors_that_do_not_fit_are_refused(model: SurfelTalker, name: str) -> None:
    """A missing one, and one of another shape."""
    tensors = model.tensors()
    without = {key: value for key, value in tensors.items() if key != name}

    for spoiled in (without, tensors | {name: torch.zeros(3, 3)}):
        with pytest.raises(InvalidInput, match=name) as refused:
            surfel_talker.restore(make_subject(), spoiled, {})

        assert "bad_avatar" == refused.value.code
