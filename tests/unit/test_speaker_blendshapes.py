"""Learned residuals of every attribute on the rig."""

import pytest
import torch
from torch import Tensor, nn

from shared.avatar_methods import speaker_blendshapes
from shared.avatar_methods.speaker_blendshapes import RESIDUAL_WEIGHTS, SpeakerBlendshapes
from shared.contracts.tracked_dataset import REGIONS
from shared.errors import InvalidInput
from shared.head_model import HeadPose
from shared.rigging.residual_weights import N_HIDDEN, N_LATENT, NETWORK_SHAPES
from tests.tracked_person import make_seeds, make_subject

K = 5
BASES = {
    "place_residuals": 3,
    "turn_residuals": 4,
    "size_residuals": 3,
    "opacity_residuals": 1,
    "color_residuals": 3,
}
"""Numbers per Gaussian and residual."""


@pytest.fixture
def model() -> SpeakerBlendshapes:
    """A model before training."""
    return speaker_blendshapes.create(make_subject(), make_seeds(), {"n_residuals": K}, 0)


def learn(model: SpeakerBlendshapes) -> None:
    """Residuals as training could have learned them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in BASES:
            values = getattr(model, name)
            values += 0.1 * torch.randn(values.shape, generator=generator)


def driven(model: SpeakerBlendshapes, **changes: Tensor) -> Tensor:
    """Weights of the residuals in the first training frame, some parameters changed. [2, K]"""
    motion = HeadPose(*(values[:1] for values in model.subject.training_pose))
    return model.condition(motion._replace(**changes)).detach()[0, -2 * K :].view(2, K)


def is_in(model: SpeakerBlendshapes, name: str) -> Tensor:
    """Which Gaussians ride on triangles of a region. [N]"""
    return model.regions() == REGIONS.index(name)


def test_parameters_are_the_rigs_the_bases_and_the_network(model: SpeakerBlendshapes) -> None:
    """Fourteen numbers per Gaussian and residual; a network of E + 3 + 8, 64 and K."""
    n, n_expr = len(model.binding), len(model.subject.head_model.expr_basis)
    counts = {name: values.numel() for name, values in model.named_parameters()}

    assert {name: K * n * width for name, width in BASES.items()} == {k: counts[k] for k in BASES}
    assert 14 * K * n == sum(counts[name] for name in BASES)
    n_inputs = n_expr + 3 + N_LATENT
    expected = 9 * N_LATENT + n_inputs * N_HIDDEN + N_HIDDEN + N_HIDDEN * K + K
    assert expected == sum(counts[name] for name in NETWORK_SHAPES)
    assert 14 * n == sum(
        counts[k] for k in ("local", "log_scales", "quats", "opacity_logits", "colors")
    )


def test_without_residuals_the_bare_rig_remains() -> None:
    """K = 0 has no bases, and the face's expression moves Gaussians by the mesh alone."""
    bare = speaker_blendshapes.create(make_subject(), make_seeds(), {"n_residuals": 0}, 0)
    whole = speaker_blendshapes.create(make_subject(), make_seeds(), {"n_residuals": K}, 0)

    expected, actual = (each.pose(each.training_condition(7)) for each in (whole, bare))

    assert 0 == sum(getattr(bare, name).numel() for name in BASES)
    assert all(torch.equal(one, other) for one, other in zip(expected, actual, strict=True))
    assert torch.isfinite(bare.regularisation(3))


def test_weights_start_apart_over_the_training_frames(model: SpeakerBlendshapes) -> None:
    """Uncorrelated, of unit variance and without mean."""
    conditions = model.condition(model.subject.training_pose)
    weights = conditions[:, -2 * K : -K].detach()

    torch.testing.assert_close(weights.mean(0), torch.zeros(K), atol=1e-3, rtol=0)
    gram = weights.T @ weights / len(weights)
    torch.testing.assert_close(gram, torch.eye(K), atol=0.02, rtol=0)


def test_expression_jaw_and_pose_change_the_weights(model: SpeakerBlendshapes) -> None:
    """Of the face; hair knows the pose alone."""
    expr = model.subject.training_pose.expr[:1]
    before = driven(model)

    jaw = driven(model, jaw_pose=torch.tensor([[0.3, 0.0, 0.0]]))
    smile = driven(model, expr=expr + 0.5)
    turned = driven(model, rotation=torch.tensor([[0.0, 0.4, 0.0]]))

    for changed in (jaw, smile):
        assert float((changed[0] - before[0]).abs().max()) > 0.01
        assert torch.equal(before[1], changed[1])
    assert float((turned - before).abs().max(1).values.min()) > 0.01


def test_inputs_far_from_all_that_was_seen_saturate(model: SpeakerBlendshapes) -> None:
    """Twice as far is no different."""
    expr = model.subject.training_pose.expr[:1]

    far, further = driven(model, expr=expr + 50.0), driven(model, expr=expr + 100.0)

    torch.testing.assert_close(far, further, atol=1e-4, rtol=0)


def test_every_attribute_takes_its_residual(model: SpeakerBlendshapes) -> None:
    """The face's change with the expression; the torso's are those of the rig."""
    with torch.no_grad():
        plain = model.pose(model.training_condition(7))
        learn(model)
        posed = model.pose(model.training_condition(7))

    face, torso = is_in(model, "face"), is_in(model, "torso")
    for before, after in zip(plain, posed, strict=True):
        assert float((after - before)[face].abs().max()) > 1e-4
        assert torch.equal(before[torso], after[torso])


def test_hair_keeps_still_when_only_the_face_moves(model: SpeakerBlendshapes) -> None:
    """Its residuals are those of a face at rest in that head pose."""
    learn(model)
    motion = HeadPose(*(values[:1] for values in model.subject.training_pose))
    speaking = motion._replace(jaw_pose=torch.tensor([[0.3, 0.0, 0.0]]))

    with torch.no_grad():
        still, open_ = (model.pose(model.condition(each)[0]) for each in (motion, speaking))

    hair = is_in(model, "hair")
    assert int(hair.sum()) > 20
    assert torch.equal(still.colors[hair], open_.colors[hair])
    lips = is_in(model, "lips")
    assert float((still.colors - open_.colors)[lips].abs().max()) > 1e-3


def test_gradients_reach_bases_first_and_then_the_network(model: SpeakerBlendshapes) -> None:
    """While residuals are zero nothing depends on their weights."""

    def gradients() -> dict[str, float]:
        model.zero_grad()
        posed = model.pose(model.training_condition(7))
        sum(values.square().sum() for values in posed).backward()  # type: ignore[union-attr]  # never the empty sum
        return {
            name: 0.0 if values.grad is None else float(values.grad.abs().max())
            for name, values in model.named_parameters()
        }

    first = gradients()
    learn(model)
    later = gradients()

    assert all(first[name] > 0 for name in BASES)
    assert all(first[name] == 0 for name in NETWORK_SHAPES)
    assert all(later[name] > 0 for name in (*BASES, *NETWORK_SHAPES))
    assert later["pose_deltas"] > 0


@pytest.mark.parametrize("name", list(RESIDUAL_WEIGHTS))
def test_residuals_cost_something(model: SpeakerBlendshapes, name: str) -> None:
    """Each attribute's own."""
    before = model.regularisation(3).item()
    with torch.no_grad():
        getattr(model, name).add_(0.5)

    assert model.regularisation(3).item() > before


def test_a_learned_network_is_restored(model: SpeakerBlendshapes) -> None:
    """With its bases, by name."""
    learn(model)
    nn.init.normal_(model.get_parameter("hidden_weight"), generator=torch.Generator())

    restored = speaker_blendshapes.restore(make_subject(), model.tensors(), {"n_residuals": K})

    expected, actual = (each.pose(each.training_condition(3)) for each in (model, restored))
    assert all(torch.equal(one, other) for one, other in zip(expected, actual, strict=True))


@pytest.mark.parametrize("options", [{"n_residuals": -1}, {"n_residuals": 65}, {"k": 3}])
def test_options_that_mean_nothing_are_refused(
    options: dict[str, int | float | str | bool],
) -> None:
    """A misspelt option must not be passed over."""
    with pytest.raises(InvalidInput) as refused:
        speaker_blendshapes.create(make_subject(), make_seeds(), options, 0)

    assert "bad_method_options" == refused.value.code
