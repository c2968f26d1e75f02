"""Every rasterizer draws what the contract says, Gaussians and surfels alike."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from shared.errors import InvalidInput, MissingModel
from shared.gaussians import Gaussians, Surfels
from shared.plugins import load_plugin, plugin_names
from tests import reference_rasterizer, reference_surfels
from tests.rasterizer_scenes import (
    HEIGHT,
    WIDTH,
    assert_same,
    draw,
    draw_kind,
    make_background,
    make_camera,
    make_gaussians,
    make_surfels,
)

Splats = Gaussians | Surfels
Make = Callable[..., Splats]


@pytest.fixture(params=plugin_names("shared.rasterizers"))
def rasterizer(request: pytest.FixtureRequest) -> ModuleType:
    """Each one that can run here."""
    module = load_plugin("shared.rasterizers", request.param)
    try:
        module.require_ready()
    except MissingModel as missing:
        pytest.skip(missing.message)
    return module


@pytest.fixture(params=[make_gaussians, make_surfels], ids=["gaussians", "surfels"])
def make(request: pytest.FixtureRequest) -> Make:
    """Scenes of each kind."""
    maker: Make = request.param
    return maker


def single(splats: Splats) -> Splats:
    """The same in float32, as rasterizers take it."""
    return type(splats)(*(t.float() for t in splats))


def learn(rasterizer: ModuleType, splats: Splats, viewmat: torch.Tensor) -> list[torch.Tensor]:
    """Gradients of the sum of all images in the splats."""
    leaves = [t.detach().clone().requires_grad_() for t in splats]
    camera = (viewmat, make_camera()[1].float(), WIDTH, HEIGHT)
    rendered = draw_kind(rasterizer, type(splats)(*leaves), *camera)
    loss = torch.stack([image.sum() for image in rendered]).sum()
    return list(torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("n_channels", [3, 5])
@pytest.mark.parametrize("seed", [10, 11])
def test_pictures_and_gradients_follow_the_contract(
    rasterizer: ModuleType, make: Make, seed: int, n_channels: int
) -> None:
    """Images agree with the reference within 1e-4, gradients within 1e-3 of their norm."""
    splats = make(seed, n_channels=n_channels)
    background = make_background(seed, n_channels, is_image=True)
    reference = reference_surfels if isinstance(splats, Surfels) else reference_rasterizer

    actual = draw(rasterizer, torch.float32, splats, background)
    expected = draw(reference, torch.float64, splats, background)

    assert_same(actual, expected, atol=1e-4, rtol_gradient=1e-3)


def test_gradients_agree_with_difference_quotients(rasterizer: ModuleType, make: Make) -> None:
    """A small step along each tensor's gradient changes a loss as its length says.

    A Gaussian ends where alpha is 1/255, which a gradient does not see: hence a twentieth.
    """
    splats = single(make(15, n=8, sigma=0.3))
    splats = splats._replace(opacities=splats.opacities * 0.9)
    viewmat, intrinsics = (t.float() for t in make_camera())
    ramp = torch.linspace(-1, 1, WIDTH) * torch.linspace(-1, 2, HEIGHT)[:, None]

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        moved = type(splats)(*tensors)
        rendered = draw_kind(rasterizer, moved, viewmat, intrinsics, WIDTH, HEIGHT)
        return torch.stack(
            [
                (image.mul(ramp.view(HEIGHT, WIDTH, *[1] * (image.ndim - 2)))).sum()
                for image in (rendered.colors, rendered.depth)
            ]
        ).sum()

    leaves = [t.clone().requires_grad_() for t in splats]
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    for k, (name, gradient) in enumerate(zip(splats._fields, gradients, strict=True)):
        step = 0.01 * gradient / gradient.norm()
        ends = [
            [t + sign * step if j == k else t for j, t in enumerate(splats)] for sign in (1, -1)
        ]
        with torch.no_grad():
            quotient = (loss(*ends[0]) - loss(*ends[1])).item() / 0.02

        assert gradient.norm().item() == pytest.approx(quotient, rel=0.05), name


def test_pictures_have_the_shapes_of_the_contract(rasterizer: ModuleType, make: Make) -> None:
    """Colours [H, W, C], normals [H, W, 3], the others [H, W]; all float32."""
    viewmat, intrinsics = (t.float() for t in make_camera())

    rendered = draw_kind(rasterizer, single(make(12)), viewmat, intrinsics, WIDTH, HEIGHT)

    shapes = {name: tuple(image.shape) for name, image in rendered._asdict().items()}
    assert {(HEIGHT, WIDTH, 3)} == {
        shapes.pop(name) for name in ("colors", "normals") if name in shapes
    }
    assert {(HEIGHT, WIDTH)} == set(shapes.values())
    assert {torch.float32} == {image.dtype for image in rendered}


def test_equal_input_gives_equal_bytes(rasterizer: ModuleType, make: Make) -> None:
    """Two runs agree to the last bit; gradients too where the module says so."""
    splats, background = make(13), make_background(13, 3, is_image=False)

    first = draw(rasterizer, torch.float32, splats, background)
    second = draw(rasterizer, torch.float32, splats, background)

    for one, other in zip(first.images, second.images, strict=True):
        assert torch.equal(one, other)
    if rasterizer.REPEATS_GRADIENTS:
        for one, other in zip(first.gradients, second.gradients, strict=True):
            assert torch.equal(one, other)
    else:
        assert_same(first, second, atol=0, rtol_gradient=1e-5)


def test_one_frame_and_a_batch_agree(rasterizer: ModuleType, make: Make) -> None:
    """Three frames at once give the pictures and gradients of each alone."""
    frames = [single(make(seed)) for seed in (16, 17, 18)]
    leaves = [torch.stack(tensors).requires_grad_() for tensors in zip(*frames, strict=True)]
    viewmat, K = (t.float() for t in make_camera())
    background = make_background(16, 3, is_image=True).float()
    batched = type(frames[0])(*leaves)
    draw_batch = (
        rasterizer.rasterize_surfels_batch
        if isinstance(batched, Surfels)
        else rasterizer.rasterize_batch
    )

    together = draw_batch(
        batched, viewmat.expand(3, 4, 4), K.expand(3, 3, 3), WIDTH, HEIGHT, background
    )
    loss = torch.stack([image.sum() for image in together]).sum()
    gradients = torch.autograd.grad(loss, leaves)

    for k, frame in enumerate(frames):
        own = [t.clone().requires_grad_() for t in frame]
        alone = draw_kind(rasterizer, type(frame)(*own), viewmat, K, WIDTH, HEIGHT, background)
        own_gradients = torch.autograd.grad(
            torch.stack([image.sum() for image in alone]).sum(), own
        )
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[k], other, rtol=0, atol=1e-6)
        for one, other in zip(gradients, own_gradients, strict=True):
            assert (one[k] - other).norm() <= 1e-5 * other.norm()


def test_a_batch_of_different_lengths_is_refused(rasterizer: ModuleType) -> None:
    """Two frames of Gaussians and three cameras raise ``bad_gaussians``."""
    frames = Gaussians(*(torch.stack([t, t]) for t in single(make_gaussians(16))))
    viewmat, K = (t.float() for t in make_camera())

    with pytest.raises(InvalidInput) as refusal:
        rasterizer.rasterize_batch(
            frames, viewmat.expand(3, 4, 4), K.expand(2, 3, 3), WIDTH, HEIGHT
        )

    assert "bad_gaussians" == refusal.value.code


@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_single_scenes_are_drawn(rasterizer: ModuleType, make: Make, n: int) -> None:
    """Nothing shows the background with alpha 0; one alone is seen; gradients have their shapes."""
    splats = single(make(19, n=20))
    splats = type(splats)(*(t[10 : 10 + n] for t in splats))
    viewmat = torch.eye(4)
    intrinsics = make_camera()[1].float()
    background = torch.tensor([0.2, 0.4, 0.6])

    rendered = draw_kind(rasterizer, splats, viewmat, intrinsics, WIDTH, HEIGHT, background)
    gradients = learn(rasterizer, splats, viewmat)

    if n == 0:
        assert torch.equal(rendered.colors, background.expand(HEIGHT, WIDTH, 3))
    assert bool(n) == bool(rendered.alpha.max() > 0)
    assert [t.shape for t in splats] == [gradient.shape for gradient in gradients]
    assert bool(n) == any(bool((gradient != 0).any()) for gradient in gradients)


@pytest.mark.parametrize(
    "shift", [(50.0, 0.0, 0.0), (0.0, -50.0, 0.0), (0.0, 0.0, -50.0)], ids=["right", "up", "behind"]
)
def test_what_is_not_in_view_is_not_drawn(
    rasterizer: ModuleType, make: Make, shift: tuple[float, float, float]
) -> None:
    """Off-screen or behind the camera: alpha and every gradient are 0."""
    splats = single(make(20))
    splats = splats._replace(means=splats.means + torch.tensor(shift))
    viewmat = torch.eye(4)

    rendered = draw_kind(rasterizer, splats, viewmat, make_camera()[1].float(), WIDTH, HEIGHT)
    gradients = learn(rasterizer, splats, viewmat)

    assert rendered.alpha.max() == 0
    assert all(bool((gradient == 0).all()) for gradient in gradients)


@pytest.mark.parametrize("sigma", [1e-4, 0.05, 1.0])
def test_gradients_are_finite(rasterizer: ModuleType, make: Make, sigma: float) -> None:
    """Specks, usual sizes and walls; some flattened and turned on edge."""
    splats = single(make(21, sigma=sigma))
    scales, quats = splats.scales.clone(), splats.quats.clone()
    scales[:10, 0] *= 1e-4
    quats[10:20] = torch.tensor([1.0, 0.0, 1.0, 0.0])
    splats = splats._replace(scales=scales, quats=quats)

    gradients = learn(rasterizer, splats, torch.eye(4))

    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("field", Gaussians._fields)
def test_numbers_that_are_not_finite_are_refused(
    rasterizer: ModuleType, make: Make, field: str
) -> None:
    """One NaN in any tensor raises ``bad_gaussians``."""
    splats = single(make(14))
    spoiled = getattr(splats, field).clone()
    spoiled.view(-1)[7] = float("nan")
    viewmat, intrinsics = (t.float() for t in make_camera())

    with pytest.raises(InvalidInput) as refusal:
        draw_kind(
            rasterizer, splats._replace(**{field: spoiled}), viewmat, intrinsics, WIDTH, HEIGHT
        )

    assert "bad_gaussians" == refusal.value.code


def test_lengths_that_disagree_are_refused(rasterizer: ModuleType, make: Make) -> None:
    """Opacities a row short raise ``bad_gaussians``."""
    splats = single(make(14))

    with pytest.raises(InvalidInput) as refusal:
        draw_kind(
            rasterizer,
            splats._replace(opacities=splats.opacities[:-1]),
            *make_camera(), WIDTH, HEIGHT,
        )  # fmt: skip

    assert "bad_gaussians" == refusal.value.code
