"""Gaussians that move but never recolour: the structure of its source."""

import pytest
import torch
from torch import Tensor, nn

from shared.avatar_method import MethodOptions
from shared.avatar_methods import talking_gaussian
from shared.avatar_methods.talking_gaussian import (
    FACE,
    FUSE_STAGE,
    HAIR,
    LIPS,
    MOUTH,
    STATIC_STAGE,
    TORSO,
    TalkingGaussian,
    branch_of,
)
from shared.talker_parts.planar_grids import PlanarGrids, resolutions
from tests.tracked_person import make_seeds, make_subject

MOVING = (STATIC_STAGE + FUSE_STAGE) / 2


def make_model(options: MethodOptions | None = None) -> TalkingGaussian:
    """A model before training; a few seeds are teeth, whatever the picture shows there."""
    (seed,) = make_seeds(spacing=4)
    labels = seed.labels.clone()
    face = torch.nonzero(labels == 2)[:, 0]
    labels[face[: len(face) // 4]] = 4
    labels[face[-3:]] = LIPS[0]
    model = talking_gaussian.create(
        make_subject(), [seed._replace(labels=labels)], options or {}, 0
    )
    # As if trained a little: at the start the fields move nothing at all.
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        for name, parameter in model.named_parameters():
            if ".grids." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def model() -> TalkingGaussian:
    """With its usual options."""
    return make_model()


def count(module: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def has_gradient(model: TalkingGaussian, prefix: str) -> bool:
    """Whether anything so named is pulled."""
    gradients = [p.grad for name, p in model.named_parameters() if name.startswith(prefix)]
    assert gradients
    return any(g is not None and bool(g.abs().max() > 0) for g in gradients)


def loud(condition: Tensor) -> Tensor:
    """The same frame with other sound and another upper face."""
    changed = condition.clone()
    changed[15:] += 0.7
    return changed


def test_grids_have_their_source_s_sizes(model: TalkingGaussian) -> None:
    """Twelve levels of one channel on three planes: 36 numbers; from 16 to 38.4 cells."""
    sides = resolutions(16, 38.4)

    assert 12 == len(sides)
    assert (18, 40) == (sides[0], sides[-1])
    assert max(sides) ** 2 < 2**17
    assert [(3, 1, side, side) for side in sides] == [
        tuple(level.shape) for level in model.face_field.grids.levels
    ]
    assert (4, 36) == tuple(model.face_field.grids(torch.zeros(4, 3)).shape)


def test_fields_have_their_source_s_parameters(model: TalkingGaussian) -> None:
    """Counted by hand from the widths, without biases."""
    face, mouth = model.face_field, model.mouth_field

    assert 36 * 32 + 32 * 32 == count(face.audio_focus)
    assert 36 * 16 + 16 * 6 == count(face.expression_focus)
    assert 5 * 16 + 16 * 5 == count(face.brows)
    assert (36 + 32 + 6) * 64 + 64 * 64 + 64 * 11 == count(face.motion)
    assert (36 + 32) * 32 + 32 * 32 + 32 * 3 == count(mouth.motion)


def test_grids_interpolate_between_their_corners() -> None:
    """Half way between two corners lies their mean."""
    grids = PlanarGrids(torch.zeros(3), 16, 38.4)
    with torch.no_grad():
        for level in grids.levels:
            level.copy_(torch.linspace(-1, 1, level.shape[-1]).expand(level.shape))

    features = grids(torch.tensor([[0.075, 0.0, 0.0], [-0.15, 0.0, 0.0]]))

    torch.testing.assert_close(torch.full((12,), 0.5), features[0].view(12, 3)[:, 0])
    torch.testing.assert_close(torch.full((12,), -1.0), features[1].view(12, 3)[:, 0])


def test_layers_are_face_mouth_and_torso(model: TalkingGaussian) -> None:
    """One after the other they are the stored rows."""
    parts = branch_of(model.labels, has_mouth=True)

    layers = model.pose(model.training_condition(0))

    assert 3 == len(layers)
    assert parts.tolist() == sorted(parts.tolist())
    for place, layer in zip((FACE, MOUTH, TORSO), layers, strict=True):
        assert int((parts == place).sum()) == len(layer.means) > 0


def test_colours_and_opacities_never_change(model: TalkingGaussian) -> None:
    """Whatever is heard; and no motion network gets a gradient from them."""
    condition = model.training_condition(2)

    quiet, moved = model.pose(condition), model.pose(loud(condition))
    shades = torch.cat([torch.cat([layer.colors.flatten(), layer.opacities]) for layer in moved])
    shades.sum().backward()

    for one, other in zip(quiet, moved, strict=True):
        assert torch.equal(one.colors, other.colors)
        assert torch.equal(one.opacities, other.opacities)
    for name in ("face_field", "mouth_field", "face_hearing", "mouth_hearing"):
        assert not has_gradient(model, name)
    assert has_gradient(model, "colors")


def test_face_and_mouth_learn_apart(model: TalkingGaussian) -> None:
    """They share no parameter: each layer pulls its own field and hearing only."""
    model.begin_step(round(1000 * MOVING), 1000)
    _, mouth, _ = model.pose(model.training_condition(2))

    mouth.means.square().sum().backward()

    assert has_gradient(model, "mouth_field")
    assert has_gradient(model, "mouth_hearing")
    assert not has_gradient(model, "face_field")
    assert not has_gradient(model, "face_hearing")


def test_the_mouth_is_only_moved_and_mostly_up_and_down(model: TalkingGaussian) -> None:
    """It neither turns nor stretches; sideways it moves a fifth."""
    condition = model.training_condition(2)
    field = model.mouth_field
    with torch.no_grad():
        last = field.motion[-1]
        assert isinstance(last, nn.Linear)
        last.weight.copy_(last.weight[:1].expand(3, -1))

    quiet, moved = model.pose(condition)[1], model.pose(loud(condition))[1]

    assert torch.equal(quiet.scales, moved.scales)
    assert torch.equal(quiet.quats, moved.quats)
    places = model.places(condition[:15])
    shift = (moved.means - quiet.means) @ places.head_turn
    torch.testing.assert_close(0.2 * shift[:, 1], shift[:, 0], atol=1e-6, rtol=1e-3)
    assert shift.abs().max() > 0


def test_stages_follow_each_other(model: TalkingGaussian) -> None:
    """Static, then moving; when fused, colours and the face's opacity alone are learned."""
    condition = model.training_condition(2)
    model.begin_step(round(1000 * 0.5 * STATIC_STAGE), 1000)
    assert torch.equal(model.pose(condition)[0].means, model.pose(loud(condition))[0].means)
    model.begin_step(round(1000 * MOVING), 1000)
    assert not torch.equal(model.pose(condition)[0].means, model.pose(loud(condition))[0].means)
    model.begin_step(round(1000 * FUSE_STAGE), 1000)

    layers = model.pose(model.training_condition(2))
    torch.cat([values.flatten() for layer in layers for values in layer]).square().sum().backward()

    assert has_gradient(model, "colors")
    opacity = model.opacity_logits.grad
    assert opacity is not None
    is_face = branch_of(model.labels, has_mouth=True) == FACE
    assert bool((opacity[is_face] != 0).all())
    assert 0 == opacity[~is_face].abs().max()
    for name in ("rest", "quats", "log_scales", "face_field", "mouth_field"):
        assert not has_gradient(model, name)


def test_attention_is_held_back_in_lips_and_hair(model: TalkingGaussian) -> None:
    """The penalty pulls the expression's region attention there, and nowhere else."""
    model.begin_step(round(1000 * MOVING), 1000)
    before = model.regularisation(0)
    model.pose(model.training_condition(2))

    after = model.regularisation(0)

    assert after > before
    assert bool(torch.isin(model.labels, torch.tensor([HAIR[0], LIPS[0]])).any())


def test_without_a_mouth_branch_the_face_shows_all() -> None:
    """The ablation: two layers, no mouth field, and nothing is learned apart."""
    model = make_model({"mouth": False})

    layers = model.pose(model.training_condition(0))

    assert 2 == len(layers)
    assert not any(name.startswith("mouth") for name, _ in model.named_parameters())
    assert () == talking_gaussian.schedule({"mouth": False}).parts
    assert 2 == len(talking_gaussian.schedule({}).parts)
