"""The CPU rasterizer against the float64 reference, its edge cases and its refusals."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.rasterizer import ScreenStatistics
from shared.rasterizer_checks import MAX_SIDE
from shared.rasterizers import cpu
from tests import reference_rasterizer
from tests.rasterizer_scenes import (
    HEIGHT,
    WIDTH,
    assert_same,
    draw,
    make_background,
    make_camera,
    make_gaussians,
)

SATURATED = 0.6  # m, so large that most pixels close before the last Gaussian


def single(n: int = 60, n_channels: int = 3) -> Gaussians:
    """A scene in float32, as the rasterizer takes it."""
    return Gaussians(*(t.float() for t in make_gaussians(0, n=n, n_channels=n_channels)))


@pytest.mark.parametrize("is_image", [False, True])
@pytest.mark.parametrize(
    ("seed", "sigma"), [(0, 0.05), (1, 0.02), (2, 0.2), (3, SATURATED), (4, 0.001)]
)
def test_rgb_equals_the_reference(seed: int, sigma: float, *, is_image: bool) -> None:
    """Images agree within 5e-5 and gradients within 1e-4 of their norm."""
    gaussians = make_gaussians(seed, sigma=sigma)
    background = make_background(seed, 3, is_image=is_image)

    actual = draw(cpu, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


@pytest.mark.parametrize("n_channels", [1, 2, 4, 17])
def test_any_number_of_channels_equals_the_reference(n_channels: int) -> None:
    """One channel or many: the same tolerances as RGB."""
    gaussians = make_gaussians(5, n_channels=n_channels)
    background = make_background(5, n_channels, is_image=n_channels % 2 == 0)

    actual = draw(cpu, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


def test_long_lists_equal_the_reference() -> None:
    """More Gaussians in a tile than are prepared at a time (256) change nothing."""
    gaussians = make_gaussians(6, n=700)
    gaussians = gaussians._replace(opacities=gaussians.opacities * 0.02 + 0.005)
    background = make_background(6, 3, is_image=False)

    actual = draw(cpu, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


def test_drawing_without_gradients_gives_the_same_picture() -> None:
    """The path under ``no_grad`` returns the bytes of the differentiable one."""
    gaussians = single()
    viewmat, intrinsics = make_camera()

    with torch.no_grad():
        plain = cpu.rasterize(gaussians, viewmat, intrinsics, WIDTH, HEIGHT)
    tracked = cpu.rasterize(
        gaussians._replace(means=gaussians.means.requires_grad_()),
        viewmat, intrinsics, WIDTH, HEIGHT,
    )  # fmt: skip

    assert not plain.colors.requires_grad
    assert tracked.colors.requires_grad
    for one, other in zip(plain, tracked, strict=True):
        assert torch.equal(one, other)


def test_bytes_do_not_depend_on_the_thread_count() -> None:
    """One thread and all threads give equal images and gradients, twice over."""
    gaussians, background = make_gaussians(7, n=300), make_background(7, 3, is_image=False)
    n_threads = numba.get_num_threads()

    try:
        numba.set_num_threads(1)
        alone = draw(cpu, torch.float32, gaussians, background)
    finally:
        numba.set_num_threads(n_threads)
    together = [draw(cpu, torch.float32, gaussians, background) for _ in range(2)]

    for run in together:
        for one, other in zip(
            alone.images + alone.gradients, run.images + run.gradients, strict=True
        ):
            assert torch.equal(one, other)


def test_nothing_to_draw_shows_the_background() -> None:
    """No Gaussians: the background everywhere, alpha and depth 0, empty gradients."""
    gaussians = single(n=0)
    colors = gaussians.colors.requires_grad_()
    viewmat, intrinsics = make_camera()
    background = torch.tensor([0.2, 0.4, 0.6])

    rendered = cpu.rasterize(gaussians, viewmat, intrinsics, WIDTH, HEIGHT, background)
    rendered.colors.sum().backward()

    assert torch.equal(rendered.colors, background.expand(HEIGHT, WIDTH, 3))
    assert rendered.alpha.max() == 0
    assert rendered.depth.max() == 0
    assert colors.grad is not None


def test_gaussians_behind_the_camera_get_no_gradient() -> None:
    """What is behind or at the camera is neither drawn nor moved."""
    gaussians = single()
    means = gaussians.means.clone()
    means[:30, 2] = torch.linspace(-5, 0.005, 30)
    means.requires_grad_()

    rendered = cpu.rasterize(
        gaussians._replace(means=means), torch.eye(4), make_camera()[1], WIDTH, HEIGHT
    )
    rendered.colors.sum().backward()

    assert means.grad is not None
    assert means.grad[:30].abs().max() == 0
    assert means.grad[30:].abs().max() > 0


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e3, 1e18, 1e30])
def test_degenerate_scales_stay_finite(scale: float) -> None:
    """Points, needles and walls give finite pictures and gradients."""
    gaussians = single()
    scales = gaussians.scales.clone()
    scales[:20] = scale
    scales[20:40, 0] = scale
    inputs = [t.clone().requires_grad_() for t in gaussians._replace(scales=scales)]

    rendered = cpu.rasterize(Gaussians(*inputs), *make_camera(), WIDTH, HEIGHT)
    loss = sum((image.sum() for image in rendered), torch.zeros(()))
    gradients = torch.autograd.grad(loss, inputs)

    assert all(bool(image.isfinite().all()) for image in rendered)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_statistics_hold_the_screen_gradient_and_the_views() -> None:
    """Two backward passes add the 2D gradient's norm twice; drawing alone adds nothing."""
    gaussians = make_gaussians(9)
    viewmat, intrinsics = make_camera()
    means2d, conics, depths = reference_rasterizer.project(
        gaussians, viewmat, intrinsics, WIDTH, HEIGHT
    )
    means2d.requires_grad_()
    expected = reference_rasterizer.blend(
        means2d, conics, gaussians.opacities, gaussians.colors, depths, WIDTH, HEIGHT
    )
    (gradient,) = torch.autograd.grad(expected.colors.square().sum(), means2d)
    half_sides = torch.tensor([WIDTH / 2, HEIGHT / 2])
    statistics = ScreenStatistics(torch.zeros(60), torch.zeros(60, dtype=torch.int64))
    inputs = Gaussians(*(t.float().requires_grad_() for t in gaussians))

    for n_passes in range(3):
        rendered = cpu.rasterize(inputs, viewmat, intrinsics, WIDTH, HEIGHT, statistics=statistics)
        assert statistics.n_views.max() == n_passes
        if n_passes < 2:
            rendered.colors.square().sum().backward()

    norms = 2 * (gradient * half_sides).norm(dim=1)
    assert (statistics.gradient - norms).norm() <= 1e-4 * norms.norm()
    assert statistics.n_views[:6].tolist() == [0] * 6  # behind the camera


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 33), (64, 5), (5, 64)])
def test_any_size_equals_the_reference(width: int, height: int) -> None:
    """Tiles that fit, stick out or are hardly there: the same tolerances."""
    gaussians = make_gaussians(8, sigma=0.1)
    background = make_background(8, 3, is_image=True)[:1, :1].expand(height, width, 3)

    actual = draw(cpu, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


def test_threads_may_draw_at_the_same_time() -> None:
    """Four threads that draw and learn at once get the bytes of one that is alone."""
    scenes = [make_gaussians(seed, n=200) for seed in range(4)]
    background = make_background(0, 3, is_image=False)
    alone = [draw(cpu, torch.float32, scene, background) for scene in scenes]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda scene: draw(cpu, torch.float32, scene, background), scenes))

    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one.images + one.gradients, other.images + other.gradients, strict=True):
            assert torch.equal(a, b)


def without_last(gaussians: Gaussians, name: str) -> Gaussians:
    """One tensor is a row short."""
    return gaussians._replace(**{name: getattr(gaussians, name)[:-1]})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda g: without_last(g, "opacities"),
        lambda g: without_last(g, "colors"),
        lambda g: g._replace(means=g.means[:, :2]),
        lambda g: g._replace(quats=g.quats[:, :3]),
        lambda g: g._replace(colors=g.colors[:, :0]),
        lambda g: g._replace(colors=g.colors[:, 0]),
        lambda g: g._replace(means=g.means.double()),
        lambda g: g._replace(scales=g.scales.to("meta")),
        lambda g: g._replace(means=g.means / 0),
        lambda g: g._replace(colors=g.colors * float("nan")),
        lambda g: g._replace(opacities=g.opacities * float("nan")),
        lambda g: g._replace(quats=g.quats * 0),
    ],
)
def test_bad_gaussians_are_refused(spoil: Callable[[Gaussians], Gaussians]) -> None:
    """Wrong shapes, types, devices and numbers raise ``bad_gaussians``."""
    with pytest.raises(InvalidInput) as refusal:
        cpu.rasterize(spoil(single()), *make_camera(), WIDTH, HEIGHT)

    assert "bad_gaussians" == refusal.value.code


def test_too_many_large_gaussians_are_refused() -> None:
    """A scene whose lists would not fit into memory raises ``bad_gaussians``."""
    gaussians = single(n=200)
    means = torch.tensor([0.0, 0.0, 2.0]).expand(200, 3)

    with pytest.raises(InvalidInput) as refusal:
        cpu.rasterize(
            gaussians._replace(means=means, scales=gaussians.scales * 0 + 1e4),
            torch.eye(4), make_camera()[1], 16000, 16000,
        )  # fmt: skip

    assert "bad_gaussians" == refusal.value.code


@pytest.mark.parametrize("shape", [(4,), (HEIGHT, WIDTH), (WIDTH, HEIGHT, 3), (1, 1, 3)])
def test_bad_background_is_refused(shape: tuple[int, ...]) -> None:
    """A background is [C] or [H, W, C]."""
    with pytest.raises(InvalidInput) as refusal:
        cpu.rasterize(single(), *make_camera(), WIDTH, HEIGHT, torch.zeros(shape))

    assert "bad_background" == refusal.value.code


@pytest.mark.parametrize(
    ("viewmat", "intrinsics", "width"),
    [
        (torch.eye(3), torch.eye(3), WIDTH),
        (torch.eye(4), torch.eye(4), WIDTH),
        (torch.eye(4) / 0, torch.eye(3), WIDTH),
        (torch.eye(4), -torch.eye(3), WIDTH),
        (torch.eye(4), torch.ones(3, 3), WIDTH),
        (torch.eye(4), torch.eye(3), 0),
        (torch.eye(4), torch.eye(3), MAX_SIDE + 1),
        (torch.eye(4, requires_grad=True), torch.eye(3), WIDTH),
    ],
)
def test_bad_camera_is_refused(viewmat: Tensor, intrinsics: Tensor, width: int) -> None:
    """Shapes, numbers, skew, size and a wish for gradients raise ``bad_camera``."""
    with pytest.raises(InvalidInput) as refusal:
        cpu.rasterize(single(), viewmat, intrinsics, width, HEIGHT)

    assert "bad_camera" == refusal.value.code
