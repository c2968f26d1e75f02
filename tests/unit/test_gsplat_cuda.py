"""The CUDA rasterizer's adapter, with a fake gsplat that runs anywhere."""

import sys

import pytest
import torch

from shared.errors import InvalidInput, MissingModel
from shared.gaussians import Gaussians, Surfels
from shared.rasterizer import ScreenStatistics
from shared.rasterizers import cpu, gsplat_cuda
from tests import reference_rasterizer, reference_surfels
from tests.fake_gsplat import CHANNELS, make_fake_gsplat
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


@pytest.fixture
def _pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gsplat is there, and tensors are drawn where they are."""
    monkeypatch.setitem(sys.modules, "gsplat", make_fake_gsplat())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gsplat_cuda, "_gpu_of", lambda home: home)


def single_camera() -> tuple[torch.Tensor, torch.Tensor]:
    """Viewmat and K in float32."""
    viewmat, intrinsics = make_camera()
    return viewmat.float(), intrinsics.float()


def to_single(splats: Gaussians | Surfels) -> Gaussians | Surfels:
    """The same in float32."""
    return type(splats)(*(t.float() for t in splats))


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize(("n_channels", "is_image"), [(1, False), (3, True), (5, False)])
def test_gaussians_pass_through_unchanged(n_channels: int, *, is_image: bool) -> None:
    """Pictures, gradients and backgrounds are those of the reference behind the fake."""
    gaussians = make_gaussians(30, n=30, n_channels=n_channels)
    background = make_background(30, n_channels, is_image=is_image)

    actual = draw(gsplat_cuda, torch.float32, gaussians, background)
    expected = draw(reference_rasterizer, torch.float64, gaussians, background)

    assert_same(actual, expected, atol=1e-5, rtol_gradient=1e-4)


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize(("n_channels", "is_image"), [(1, False), (3, True), (5, False)])
def test_surfels_pass_through_unchanged(n_channels: int, *, is_image: bool) -> None:
    """Likewise, with depth as the last of a number of channels that gsplat knows."""
    surfels = make_surfels(31, n=30, n_channels=n_channels)
    background = make_background(31, n_channels, is_image=is_image)

    actual = draw(gsplat_cuda, torch.float32, surfels, background)
    expected = draw(reference_surfels, torch.float64, surfels, background)

    assert_same(actual, expected, atol=1e-5, rtol_gradient=1e-4)


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize("splats", [make_gaussians(32), make_surfels(32)], ids=["3d", "surfels"])
def test_statistics_equal_those_of_the_cpu(splats: Gaussians | Surfels) -> None:
    """The screen gradient and the views, once for every backward pass."""
    both = []
    for rasterizer in (gsplat_cuda, cpu):
        statistics = ScreenStatistics(torch.zeros(60), torch.zeros(60, dtype=torch.int64))
        leaves = type(splats)(*(t.float().requires_grad_() for t in splats))
        draw_any = (
            rasterizer.rasterize_surfels if isinstance(leaves, Surfels) else rasterizer.rasterize
        )
        rendered = draw_any(leaves, *single_camera(), WIDTH, HEIGHT, statistics=statistics)
        assert statistics.n_views.max() == 0
        rendered.colors.square().sum().backward()
        both.append(statistics)

    fake, real = both
    assert (fake.gradient - real.gradient).norm() <= 1e-4 * real.gradient.norm()
    assert fake.n_views[:6].tolist() == [0] * 6  # behind the camera
    assert fake.n_views[6:].min() == 1


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize("make", [make_gaussians, make_surfels])
def test_a_batch_is_one_call_with_a_camera_for_each_frame(make: object) -> None:
    """Frames with cameras of their own give the pictures of each alone."""
    maker = make_surfels if make is make_surfels else make_gaussians
    frames = [to_single(maker(seed)) for seed in (33, 34)]
    viewmat, K = single_camera()
    viewmats = torch.stack([viewmat, torch.eye(4)])
    Ks = torch.stack([K, K * torch.tensor([[0.9], [1.1], [1.0]])])
    batch = type(frames[0])(*(torch.stack(t) for t in zip(*frames, strict=True)))
    draw_batch = (
        gsplat_cuda.rasterize_surfels_batch
        if isinstance(batch, Surfels)
        else gsplat_cuda.rasterize_batch
    )

    together = draw_batch(batch, viewmats, Ks, WIDTH, HEIGHT, torch.tensor([0.1, 0.2, 0.3]))  # type: ignore[arg-type]

    for k, frame in enumerate(frames):
        alone = draw_kind(
            gsplat_cuda, frame, viewmats[k], Ks[k], WIDTH, HEIGHT, torch.tensor([0.1, 0.2, 0.3])
        )
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[k], other)


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize("make", [make_gaussians, make_surfels])
def test_no_gaussians_never_reach_gsplat(make: object) -> None:
    """It divides by their number; the background comes back, and the graph stays whole."""
    maker = make_surfels if make is make_surfels else make_gaussians
    splats = to_single(maker(35))
    empty = type(splats)(*(t[:0].requires_grad_() for t in splats))
    background = torch.tensor([0.2, 0.4, 0.6])

    rendered = draw_kind(gsplat_cuda, empty, *single_camera(), WIDTH, HEIGHT, background)
    rendered.colors.sum().backward()

    assert torch.equal(rendered.colors, background.expand(HEIGHT, WIDTH, 3))
    assert empty.means.grad is not None


@pytest.mark.usefixtures("_pretended_gpu")
@pytest.mark.parametrize("field", Gaussians._fields)
def test_numbers_that_are_not_finite_never_reach_gsplat(field: str) -> None:
    """``bad_gaussians``, as on the CPU."""
    splats = to_single(make_gaussians(36))
    spoiled = splats._replace(**{field: getattr(splats, field) / 0})

    with pytest.raises(InvalidInput) as refusal:
        draw_kind(gsplat_cuda, spoiled, *single_camera(), WIDTH, HEIGHT)

    assert "bad_gaussians" == refusal.value.code


def test_the_channels_are_those_of_the_kernels() -> None:
    """Whatever is asked for is padded to what there is."""
    assert all(gsplat_cuda._n_padded(n) in CHANNELS for n in range(1, 513))
    assert all(gsplat_cuda._n_padded(n) == n for n in CHANNELS)


def test_a_machine_without_a_gpu_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """``no_gpu``, and nothing is drawn by something else."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(MissingModel) as refusal:
        draw_kind(gsplat_cuda, to_single(make_gaussians(37)), *single_camera(), WIDTH, HEIGHT)

    assert "no_gpu" == refusal.value.code


def test_a_machine_without_gsplat_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """``missing_library`` names the extra."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "gsplat", None)

    with pytest.raises(MissingModel, match=r"\.\[gpu\]") as refusal:
        gsplat_cuda.require_ready()

    assert "missing_library" == refusal.value.code
