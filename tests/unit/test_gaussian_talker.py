"""Canonical Gaussians deformed by spatial-audio attention: the structure of its source."""

import pytest
import torch
from torch import Tensor, nn

from shared.audio_encoders import mel
from shared.avatar_method import MethodOptions
from shared.avatar_methods import gaussian_talker
from shared.avatar_methods.gaussian_talker import COARSE_STAGE, TOKENS, GaussianTalker
from shared.errors import InvalidInput
from shared.talker_parts.audio_nets import N_ROWS, Hearing
from shared.talker_parts.cloud import TORSO
from shared.talker_parts.spatial_attention import N_HEADS, WIDTH, SpatialAttention
from tests.tracked_person import N_AUDIO_CHANNELS, make_seeds, make_subject


def make_model(options: MethodOptions | None = None) -> GaussianTalker:
    """A model before training."""
    return gaussian_talker.create(make_subject(), make_seeds(spacing=4), options or {}, 0)


@pytest.fixture
def model() -> GaussianTalker:
    """With its usual options."""
    return make_model()


def count(module: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in module.parameters())


def gradient_of(model: GaussianTalker, name: str) -> Tensor | None:
    """Of the loss computed last."""
    return model.get_parameter(name).grad


def test_the_triplane_has_its_source_s_sizes(model: GaussianTalker) -> None:
    """Three planes of 32 channels at 64^2 and 128^2 give 64 numbers a place."""
    shapes = [tuple(plane.shape) for plane in model.triplane.planes]

    assert [(3, 32, 64, 64), (3, 32, 128, 128)] == shapes
    assert (5, 64) == tuple(model.triplane(model.rest[:5]).shape)


def test_modules_have_their_source_s_parameters(model: GaussianTalker) -> None:
    """Counted by hand from the widths."""
    attention = 4 * 64 * 64 + 3 * 64 + 2 * 128 + (64 * 128 + 128) + (128 * 64 + 64)
    trunk = (64 * 128 + 128) + (128 * 128 + 128)
    heads = 5 * (64 * 128 + 128) + 128 * 14 + 14
    canonical = 2 * (128 * 128 + 128) + 128 * 4 + 4

    assert attention == count(model.attention)
    assert trunk == count(model.canonical)
    assert heads == count(model.heads)
    assert canonical == count(model.canonical_heads)
    assert 32 * 64 + 64 * 64 == count(model.audio_token)
    assert 7 * 64 + 64 * 64 == count(model.eye_token)
    assert 12 * 64 + 64 * 64 == count(model.camera_token)
    assert (1, 64) == tuple(model.null_token.shape)


def test_attention_weights_sum_to_one(model: GaussianTalker) -> None:
    """Over audio, eye, camera and null."""
    features = model.triplane(model.rest)

    _, weights = model.attention(features, model.tokens(model.training_condition(3)))

    assert (len(model.rest), len(TOKENS)) == tuple(weights.shape)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))


def test_folded_attention_is_attention() -> None:
    """Equal to torch's own with the same weights."""
    torch.manual_seed(3)
    ours, theirs = SpatialAttention(), nn.MultiheadAttention(WIDTH, N_HEADS)
    with torch.no_grad():
        projections = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in projections]))
        biases = (ours.query.bias, torch.zeros(WIDTH), ours.value.bias)
        theirs.in_proj_bias.copy_(torch.cat(biases))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    features, tokens = torch.randn(9, WIDTH), torch.randn(4, WIDTH)
    attended, weights = theirs(features, tokens, tokens)
    fused = ours.norm_attended(features + attended)

    found, found_weights = ours(features, tokens)

    torch.testing.assert_close(ours.norm(fused + ours.feed_forward(fused)), found)
    torch.testing.assert_close(weights, found_weights)


def test_the_coarse_stage_is_static(model: GaussianTalker) -> None:
    """Nothing that is heard moves anything, and the networks that would are not trained."""
    model.begin_step(round(1000 * 0.5 * COARSE_STAGE), 1000)
    first = model.training_condition(2)
    changed = first.clone()
    changed[15:] += 1

    (posed,), (again,) = model.pose(first), model.pose(changed)
    (posed.means.sum() + posed.colors.sum()).backward()

    assert torch.equal(posed.means, again.means)
    assert gradient_of(model, "heads.rest.1.weight") is None
    assert gradient_of(model, "triplane.planes.0") is not None


def test_the_fine_stage_trains_everything(model: GaussianTalker) -> None:
    """What is heard reaches the picture, and gradients reach what hears."""
    model.begin_step(round(100 * COARSE_STAGE), 100)

    (posed,) = model.pose(model.training_condition(2))
    sum((values.square().sum() for values in posed), torch.zeros(())).backward()

    still = {"pose_deltas", "body"}  # of these only one frame's rows
    silent = [n for n, p in model.named_parameters() if n not in still and p.grad is None]
    assert [] == silent
    for name in ("hearing.net.convolutions.0.weight", "hearing.attention.layer.weight"):
        gradient = gradient_of(model, name)
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_the_torso_is_not_deformed(model: GaussianTalker) -> None:
    """Whatever is heard, it stays where the torso's rule puts it."""
    is_torso = model.labels == TORSO
    condition = model.training_condition(2)
    loud = condition.clone()
    loud[15:] += 3

    (quiet,), (moved,) = model.pose(condition), model.pose(loud)

    assert is_torso.any()
    for one, other in zip(quiet, moved, strict=True):
        assert torch.equal(one[is_torso], other[is_torso])
        assert not torch.equal(one[~is_torso], other[~is_torso])


def test_without_attention_all_tokens_count_alike() -> None:
    """The ablation: sound still speaks, to no place in particular."""
    model = make_model({"attention": False})

    _, weights = model.attention(model.triplane(model.rest), torch.randn(4, WIDTH))
    (posed,) = model.pose(model.training_condition(1))
    posed.means.sum().backward()

    assert torch.equal(torch.full_like(weights, 0.25), weights)
    gradient = gradient_of(model, "hearing.net.layers.2.weight")
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_attention_is_posed_as_further_colours(model: GaussianTalker) -> None:
    """One picture, seven channels; each token's map goes from 0 to 1."""
    condition = model.training_condition(4)

    (posed,), (shown,) = model.pose(condition), model.pose_attention(condition)

    assert (len(posed.means), 3 + len(TOKENS)) == tuple(shown.colors.shape)
    assert torch.equal(posed.colors, shown.colors[:, :3])
    maps = shown.colors[model.labels != TORSO, 3:]
    torch.testing.assert_close(torch.zeros(4), maps.min(0).values)
    torch.testing.assert_close(torch.ones(4), maps.max(0).values)
    assert 0 == shown.colors[model.labels == TORSO, 3:].abs().max()


def test_hearing_takes_eight_windows() -> None:
    """A change at the window's far end is heard; each frame is heard alone."""
    torch.manual_seed(0)
    hearing = Hearing(N_AUDIO_CHANNELS)
    rows = torch.randn(2, N_ROWS, N_AUDIO_CHANNELS)
    changed = rows.clone()
    changed[1, -1] += 5

    heard, again = hearing(rows), hearing(changed)

    assert (2, 32) == tuple(heard.shape)
    torch.testing.assert_close(heard[0], again[0])
    assert not torch.allclose(heard[1], again[1])


@pytest.mark.parametrize("options", [{"attention": "off"}, {"layers": 2}, {"audio_encoder": True}])
def test_options_that_mean_nothing_are_refused(options: MethodOptions) -> None:
    """By name and by type."""
    with pytest.raises(InvalidInput) as refused:
        gaussian_talker.needs(options)

    assert "bad_method_options" == refused.value.code


def test_an_encoder_of_any_rate_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are brought to the rate that the networks were built for."""
    monkeypatch.setattr(mel, "ROWS_PER_SECOND", 25)

    assert ("mel", N_ROWS) == gaussian_talker.needs({})[:2]


@pytest.mark.parametrize("name", ["rest", "labels", "attention.query.weight", "body_rule"])
def test_tensors_that_do_not_fit_are_refused(model: GaussianTalker, name: str) -> None:
    """A missing one, and one of another shape."""
    tensors = model.tensors()
    without = {key: value for key, value in tensors.items() if key != name}

    for spoiled in (without, tensors | {name: torch.zeros(3, 2, 1)}):
        with pytest.raises(InvalidInput, match=name) as refused:
            gaussian_talker.restore(make_subject(), spoiled, {})

        assert "bad_avatar" == refused.value.code
