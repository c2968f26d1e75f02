"""What every avatar method must do, whatever it is."""

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from shared.avatar_abilities import Scheduled, Sparing, ViewDependent
from shared.avatar_method import AvatarMethod, TrainableModel, each_track
from shared.contracts.tracked_dataset import REGIONS
from shared.gaussians import Surfels
from shared.layers import Layer, Layers
from shared.plugins import load_plugin, plugin_names
from tests.tracked_person import make_seeds, make_subject

KIND = "shared.avatar_methods"
N_FRAMES = 30


@pytest.fixture(params=plugin_names(KIND), scope="module")
def method(request: pytest.FixtureRequest) -> AvatarMethod:
    """Each method there is."""
    return cast(AvatarMethod, load_plugin(KIND, request.param))


@pytest.fixture
def model(method: AvatarMethod) -> TrainableModel:
    """A model before training."""
    return method.create(make_subject(N_FRAMES), make_seeds(spacing=4), {}, 0)


def gaussian_count(model: TrainableModel) -> int:
    """How many Gaussians there are, by the first tensor that counts them."""
    name, dim = next(iter(model.per_gaussian().items()))
    return model.tensors()[name].shape[dim]


def parameters_of(model: TrainableModel) -> dict[str, Tensor]:
    """Trainable parameters by name."""
    assert isinstance(model, nn.Module)
    return dict(model.named_parameters())


def whole(layers: Layers) -> Layer:
    """The Gaussians or surfels of all layers, in the order of the stored rows."""
    return type(layers[0])(*(torch.cat(columns) for columns in zip(*layers, strict=True)))


def assert_equal(expected: Layer, actual: Layer) -> None:
    """To the last bit."""
    assert all(torch.equal(one, other) for one, other in zip(expected, actual, strict=True))


def test_conditions_have_one_row_per_frame(model: TrainableModel) -> None:
    """And a training frame's has the same length."""
    conditions = model.condition(make_subject(N_FRAMES).training_performance)

    assert N_FRAMES == len(conditions)
    assert model.training_condition(3).shape == conditions[3].shape


def test_posed_gaussians_have_the_shapes_of_the_contract(model: TrainableModel) -> None:
    """Activated values: positive scales, opacities between 0 and 1, quaternions not zero."""
    n = gaussian_count(model)

    posed = whole(model.pose(model.training_condition(0)))

    n_scales = 2 if isinstance(posed, Surfels) else 3
    assert [(n, 3), (n, 4), (n, n_scales), (n,), (n, 3)] == [tuple(t.shape) for t in posed]
    assert {torch.float32} == {t.dtype for t in posed}
    assert all(bool(torch.isfinite(t).all()) for t in posed)
    assert posed.scales.min() > 0
    assert 0 < posed.opacities.min()
    assert posed.opacities.max() < 1
    assert posed.quats.norm(dim=1).min() > 0


def test_regions_are_labels_of_all_gaussians_or_unknown(model: TrainableModel) -> None:
    """One of ``REGIONS`` each, never the background; they follow the Gaussians."""
    regions = model.regions()

    if regions is not None:
        assert (gaussian_count(model),) == tuple(regions.shape)
        assert torch.uint8 == regions.dtype
        assert 0 < int(regions.min())
        assert int(regions.max()) < len(REGIONS)


def test_what_must_stay_is_doomed(model: TrainableModel) -> None:
    """A model spares only what would be removed."""
    if isinstance(model, Sparing):
        doomed = torch.arange(gaussian_count(model)) % 3 == 0

        spared = model.spare(doomed)

        assert not bool((spared & ~doomed).any())


def test_a_schedule_depends_on_step_and_tensors(
    method: AvatarMethod, model: TrainableModel
) -> None:
    """A training that resumes finds the model as one that went straight through."""
    if isinstance(model, Scheduled):
        for step in range(8):
            model.begin_step(step, 10)
        resumed = method.restore(make_subject(N_FRAMES), model.tensors(), {})
        assert isinstance(resumed, Scheduled)

        resumed.begin_step(7, 10)

        assert_equal(
            whole(model.pose(model.training_condition(1))),
            whole(resumed.pose(resumed.training_condition(1))),
        )


def test_the_subjects_own_camera_changes_nothing(model: TrainableModel) -> None:
    """A condition is for the capture's camera until another is named."""
    if isinstance(model, ViewDependent):
        condition = model.training_condition(2)

        seen = model.seen_from(condition, make_subject(N_FRAMES).viewmat)

        assert torch.equal(condition, seen)


def test_rendering_equals_training(model: TrainableModel) -> None:
    """Whether gradients are asked for does not change the picture."""
    trained = whole(model.pose(model.training_condition(5)))
    with torch.no_grad():
        rendered = whole(model.pose(model.training_condition(5)))

    for one, other in zip(trained, rendered, strict=True):
        torch.testing.assert_close(other, one.detach(), atol=1e-5, rtol=1e-4)


def test_any_motion_can_be_posed(model: TrainableModel) -> None:
    """A single frame, and one far from all that was seen."""
    single = each_track(make_subject(N_FRAMES).training_performance, lambda track: track[:1] * 4)

    conditions = model.condition(single)

    assert 1 == len(conditions)
    assert all(bool(torch.isfinite(t).all()) for t in whole(model.pose(conditions[0])))


def test_stored_tensors_restore_the_model(method: AvatarMethod, model: TrainableModel) -> None:
    """Nothing is lost, and nothing but tensors is needed."""
    tensors = {name: value.clone() for name, value in model.tensors().items()}

    restored = method.restore(make_subject(N_FRAMES), tensors, {})

    for name, value in restored.tensors().items():
        assert torch.equal(tensors[name], value)
    assert tensors.keys() == restored.tensors().keys()
    assert_equal(
        whole(model.pose(model.training_condition(7))),
        whole(restored.pose(restored.training_condition(7))),
    )


def test_a_restored_model_is_its_own(method: AvatarMethod, model: TrainableModel) -> None:
    """Training it leaves the tensors that it came from alone."""
    tensors = model.tensors()
    before = {name: value.clone() for name, value in tensors.items()}

    restored = method.restore(make_subject(N_FRAMES), tensors, {})
    with torch.no_grad():
        for parameter in restored.parameters():
            parameter.add_(1)

    assert all(torch.equal(value, tensors[name]) for name, value in before.items())


def test_each_parameter_has_a_learning_rate(model: TrainableModel) -> None:
    """Names agree, what is counted by Gaussians is trained, and parameters are stored."""
    rates = model.learning_rates()

    assert parameters_of(model).keys() == rates.keys()
    assert min(rates.values()) >= 0
    assert min(rates[name] for name in model.per_gaussian().keys() & rates.keys()) > 0
    assert rates.keys() <= model.tensors().keys()


def test_tensors_say_which_dimension_counts_gaussians(model: TrainableModel) -> None:
    """All agree on the number."""
    tensors = model.tensors()

    counts = {tensors[name].shape[dim] for name, dim in model.per_gaussian().items()}
    assert {gaussian_count(model)} == counts


def test_gradients_are_finite(model: TrainableModel) -> None:
    """Of every parameter that a picture and the regularisation depend on."""
    posed = whole(model.pose(model.training_condition(4)))
    loss = sum((t.square().sum() for t in posed), model.regularisation(4))

    loss.backward()

    gradients = [p.grad for p in parameters_of(model).values() if p.grad is not None]
    assert len(gradients) > 4
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def test_gaussians_can_be_selected_and_split(method: AvatarMethod, model: TrainableModel) -> None:
    """A model with one Gaussian twice poses; split, the two part and shrink."""
    n = gaussian_count(model)
    sources = torch.cat([torch.arange(n), torch.tensor([5])])
    dims = model.per_gaussian()
    tensors = {
        name: value.index_select(dims[name], sources) if name in dims else value
        for name, value in model.tensors().items()
    }
    grown = method.restore(make_subject(N_FRAMES), tensors, {})
    is_new = torch.arange(n + 1) == n
    shrinks = is_new | (torch.arange(n + 1) == 5)
    before = whole(grown.pose(grown.training_condition(0)))

    grown.split(shrinks, is_new, torch.ones(n + 1, 3))

    after = whole(grown.pose(grown.training_condition(0)))
    assert torch.equal(before.means[~is_new], after.means[~is_new])
    assert not torch.equal(before.means[n], after.means[n])
    assert bool((after.scales[shrinks] < before.scales[shrinks]).all())
    assert torch.equal(before.scales[~shrinks], after.scales[~shrinks])


def test_settling_twice_changes_nothing_more(model: TrainableModel) -> None:
    """What is derived depends on parameters alone."""
    model.settle()
    first = {name: value.clone() for name, value in model.tensors().items()}

    model.settle()

    assert all(torch.equal(value, first[name]) for name, value in model.tensors().items())


def test_equal_seed_gives_equal_models(method: AvatarMethod, model: TrainableModel) -> None:
    """Nothing random comes from elsewhere."""
    again = method.create(make_subject(N_FRAMES), make_seeds(spacing=4), {}, 0)

    assert all(torch.equal(value, again.tensors()[n]) for n, value in model.tensors().items())
