"""The CPU rasterizer's surfels against the float64 reference, and their edge cases."""

import numba
import pytest
import torch

from shared.errors import InvalidInput
from shared.gaussians import Surfels
from shared.rasterizer import RenderedSurfels, ScreenStatistics
from shared.rasterizers import cpu
from tests import reference_surfels
from tests.rasterizer_scenes import (
    HEIGHT,
    WIDTH,
    assert_same,
    draw,
    make_background,
    make_camera,
    make_surfels,
)

EYE = torch.eye(4)
K = torch.tensor([[60.0, 0, 26.5], [0, 60, 18.5], [0, 0, 1]])  # the axis hits a pixel's centre


def single(n: int = 60) -> Surfels:
    """A scene in float32, as the rasterizer takes it."""
    return Surfels(*(t.float() for t in make_surfels(0, n=n)))


def wall(depths: list[float], opacity: float) -> Surfels:
    """Discs of half a metre that face the camera."""
    n = len(depths)
    means = torch.tensor([[0.0, 0.0, depth] for depth in depths])
    quats = torch.tensor([1.0, 0, 0, 0]).expand(n, 4)
    return Surfels(means, quats, torch.full((n, 2), 0.5), torch.full((n,), opacity), means * 0 + 1)


def at_centre(surfels: Surfels) -> RenderedSurfels:
    """All images at the pixel on the optical axis."""
    rendered = cpu.rasterize_surfels(surfels, EYE, K, WIDTH, HEIGHT)
    return RenderedSurfels(*(image[18, 26] for image in rendered))


@pytest.mark.parametrize("is_image", [False, True])
@pytest.mark.parametrize(("seed", "sigma"), [(0, 0.05), (1, 0.02), (2, 0.2), (3, 0.6), (4, 0.001)])
def test_surfels_equal_the_reference(seed: int, sigma: float, *, is_image: bool) -> None:
    """All six images agree within 5e-5 and gradients within 1e-4 of their norm."""
    surfels = make_surfels(seed, sigma=sigma)
    background = make_background(seed, 3, is_image=is_image)

    actual = draw(cpu, torch.float32, surfels, background)
    expected = draw(reference_surfels, torch.float64, surfels, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


@pytest.mark.parametrize("n_channels", [1, 2, 4, 17])
def test_any_number_of_channels_equals_the_reference(n_channels: int) -> None:
    """One channel or many: the same tolerances as RGB."""
    surfels = make_surfels(5, n_channels=n_channels)
    background = make_background(5, n_channels, is_image=n_channels % 2 == 0)

    actual = draw(cpu, torch.float32, surfels, background)
    expected = draw(reference_surfels, torch.float64, surfels, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


def test_long_lists_equal_the_reference() -> None:
    """More surfels in a tile than are prepared at a time (256) change nothing."""
    surfels = make_surfels(6, n=700, sigma=0.1)
    surfels = surfels._replace(opacities=surfels.opacities * 0.02 + 0.005)
    background = make_background(6, 3, is_image=False)

    actual = draw(cpu, torch.float32, surfels, background)
    expected = draw(reference_surfels, torch.float64, surfels, background)

    assert_same(actual, expected, atol=1e-4, rtol_gradient=5e-4)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 33), (64, 5), (5, 64)])
def test_any_size_equals_the_reference(width: int, height: int) -> None:
    """Tiles that fit, stick out or are hardly there: the same tolerances."""
    surfels = make_surfels(8, sigma=0.1)
    background = make_background(8, 3, is_image=True)[:1, :1].expand(height, width, 3)

    actual = draw(cpu, torch.float32, surfels, background)
    expected = draw(reference_surfels, torch.float64, surfels, background)

    assert_same(actual, expected, atol=5e-5, rtol_gradient=1e-4)


def test_bytes_do_not_depend_on_the_thread_count() -> None:
    """One thread and all threads give equal images and gradients, twice over."""
    surfels, background = make_surfels(7, n=300), make_background(7, 3, is_image=False)
    n_threads = numba.get_num_threads()

    try:
        numba.set_num_threads(1)
        alone = draw(cpu, torch.float32, surfels, background)
    finally:
        numba.set_num_threads(n_threads)
    together = [draw(cpu, torch.float32, surfels, background) for _ in range(2)]

    for run in together:
        for one, other in zip(
            alone.images + alone.gradients, run.images + run.gradients, strict=True
        ):
            assert torch.equal(one, other)


def test_drawing_without_gradients_gives_the_same_picture() -> None:
    """The path under ``no_grad`` returns the bytes of the differentiable one."""
    surfels, camera = single(), (*make_camera(), WIDTH, HEIGHT)

    with torch.no_grad():
        plain = cpu.rasterize_surfels(surfels, *camera)
    tracked = cpu.rasterize_surfels(surfels._replace(means=surfels.means.requires_grad_()), *camera)

    assert not plain.colors.requires_grad
    assert tracked.median_depth.requires_grad
    for one, other in zip(plain, tracked, strict=True):
        assert torch.equal(one, other)


def test_a_wall_is_seen_as_computed_by_hand() -> None:
    """One disc in front: alpha is its opacity, its normal comes towards the camera."""
    seen = at_centre(wall([2.0], 0.6))

    assert 0.6 == pytest.approx(float(seen.alpha), abs=1e-6)
    assert 1.2 == pytest.approx(float(seen.depth), abs=1e-6)
    assert [0.0, 0.0, pytest.approx(-0.6, abs=1e-6)] == seen.normals.tolist()
    assert 2.0 == pytest.approx(float(seen.median_depth), abs=1e-6)
    assert 0.0 == float(seen.distortion)


def test_distortion_is_the_sum_over_pairs() -> None:
    """Weights .5 and .25 a metre apart: twice .5 times .25 times 1."""
    seen = at_centre(wall([3.0, 2.0], 0.5))

    assert 0.25 == pytest.approx(float(seen.distortion), abs=1e-6)


def test_median_depth_is_that_of_the_last_surfel_before_half_is_hidden() -> None:
    """Of four walls of a third each, the second still has 0.67 of the light, the third 0.44."""
    surfels = wall([2.0, 3.0, 4.0, 5.0], 1 / 3)
    means = surfels.means.requires_grad_()

    median = at_centre(surfels._replace(means=means)).median_depth
    median.backward()

    assert 3.0 == pytest.approx(median.item(), abs=1e-6)
    assert means.grad is not None
    assert [0.0, 1.0, 0.0, 0.0] == means.grad[:, 2].tolist()


def test_surfels_on_edge_are_drawn_by_the_low_pass_with_finite_gradients() -> None:
    """Turned by 90 degrees, and by a hair less, a disc is at least a spot."""
    for degrees in (90.0, 89.9999, 89.99, 89.0):
        half_turn = torch.deg2rad(torch.tensor(degrees)) / 2
        quat = torch.stack([half_turn.cos(), half_turn * 0, half_turn.sin(), half_turn * 0])
        surfels = wall([2.0], 0.9)._replace(quats=quat[None], scales=torch.full((1, 2), 0.1))
        inputs = Surfels(*(t.clone().requires_grad_() for t in surfels))

        rendered = cpu.rasterize_surfels(inputs, EYE, K, WIDTH, HEIGHT)
        loss = torch.stack([(image * image).sum() for image in rendered]).sum()
        gradients = torch.autograd.grad(loss, inputs)

        assert 0.9 == pytest.approx(rendered.alpha[18, 26].item(), abs=1e-3)
        assert rendered.alpha[:, :20].max() == 0
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e3, 1e18, 1e30])
def test_degenerate_scales_stay_finite(scale: float) -> None:
    """Points, needles and walls give finite pictures and gradients."""
    surfels = single()
    scales = surfels.scales.clone()
    scales[:20] = scale
    scales[20:40, 0] = scale
    inputs = [t.clone().requires_grad_() for t in surfels._replace(scales=scales)]

    rendered = cpu.rasterize_surfels(Surfels(*inputs), *make_camera(), WIDTH, HEIGHT)
    loss = sum((image.sum() for image in rendered), torch.zeros(()))
    gradients = torch.autograd.grad(loss, inputs)

    assert all(bool(image.isfinite().all()) for image in rendered)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_a_disc_that_reaches_the_camera_is_not_drawn() -> None:
    """Its picture would have no bounds."""
    quat = torch.tensor([[1.0, 0.0, 1.0, 0.0]])  # seen from the side
    surfels = wall([1.0], 0.9)._replace(quats=quat)

    reaching = cpu.rasterize_surfels(surfels, EYE, K, WIDTH, HEIGHT)
    short = cpu.rasterize_surfels(
        surfels._replace(scales=surfels.scales * 0.5), EYE, K, WIDTH, HEIGHT
    )

    assert reaching.alpha.max() == 0
    assert short.alpha.max() > 0


def test_statistics_hold_the_screen_gradient_and_the_views() -> None:
    """The 2D mean's gradient is that of moving the centre parallel to the picture."""
    surfels = make_surfels(9)
    viewmat, intrinsics = make_camera()
    statistics = ScreenStatistics(torch.zeros(60), torch.zeros(60, dtype=torch.int64))
    inputs = Surfels(*(t.requires_grad_() for t in surfels))
    expected = reference_surfels.rasterize_surfels(inputs, viewmat, intrinsics, WIDTH, HEIGHT)
    (v_means,) = torch.autograd.grad(expected.colors.square().sum(), inputs.means)
    depths = (surfels.means @ viewmat[:3, :3].T + viewmat[:3, 3])[:, 2:].detach()
    sideways = (v_means @ viewmat[:3, :3].T)[:, :2] * depths / torch.tensor([60.0, 58.0])
    expected_norms = (sideways * torch.tensor([WIDTH / 2, HEIGHT / 2])).norm(dim=1)

    rendered = cpu.rasterize_surfels(
        Surfels(*(t.detach().float().requires_grad_() for t in surfels)),
        viewmat, intrinsics, WIDTH, HEIGHT, statistics=statistics,
    )  # fmt: skip
    assert statistics.n_views.max() == 0
    rendered.colors.square().sum().backward()

    assert (statistics.gradient - expected_norms).norm() <= 1e-4 * expected_norms.norm()
    assert statistics.n_views[:6].tolist() == [0] * 6  # behind the camera
    assert statistics.n_views.max() == 1


def test_three_scales_are_refused() -> None:
    """A surfel has two; ``bad_gaussians`` says so."""
    surfels = single()

    with pytest.raises(InvalidInput, match=r"expected \[60, 2\]") as refusal:
        cpu.rasterize_surfels(
            surfels._replace(scales=torch.ones(60, 3)), *make_camera(), WIDTH, HEIGHT
        )

    assert "bad_gaussians" == refusal.value.code
