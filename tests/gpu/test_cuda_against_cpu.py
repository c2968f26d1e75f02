"""The CUDA rasterizer against the CPU's on the same scenes: values and gradients.

The float64 references are compared in ``tests/conformance``; here are scenes of a head's size,
which they could not draw in reasonable time.
"""

import pytest
import torch
from torch import Tensor

from shared.gaussians import Gaussians, Surfels
from shared.rasterizer import ScreenStatistics
from shared.rasterizers import cpu, gsplat_cuda
from tests.rasterizer_scenes import draw_kind

pytestmark = pytest.mark.gpu

N, SIDE, FOCAL = 20_000, 512, 614.0
K = torch.tensor([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])


def head(kind: type[Gaussians | Surfels], sigma_px: float, n_channels: int) -> Gaussians | Surfels:
    """A noisy ball, 40 cm wide, a metre in front of the camera."""
    generator = torch.Generator().manual_seed(0)
    towards = torch.nn.functional.normalize(torch.randn(N, 3, generator=generator), dim=-1)
    means = towards * (0.2 + 0.01 * torch.randn(N, 1, generator=generator))
    n_scales = 2 if kind is Surfels else 3
    spread = torch.exp(0.3 * torch.randn(N, n_scales, generator=generator))
    return kind(
        means + torch.tensor([0.0, 0.0, 1.0]),
        torch.randn(N, 4, generator=generator),
        spread * sigma_px / FOCAL,
        0.1 + 0.8 * torch.rand(N, generator=generator),
        torch.rand(N, n_channels, generator=generator),
    )


def learned(module: object, splats: Gaussians | Surfels) -> tuple[list[Tensor], list[Tensor]]:
    """Pictures, and gradients of a smooth loss of them."""
    leaves = [t.clone().requires_grad_() for t in splats]
    background = torch.linspace(0, 1, SIDE).expand(splats.colors.shape[1], SIDE, SIDE)
    background = background.permute(1, 2, 0).contiguous().requires_grad_()
    camera = (torch.eye(4), K, SIDE, SIDE, background)
    rendered = draw_kind(module, type(splats)(*leaves), *camera)  # type: ignore[arg-type]
    ramp = torch.linspace(-1, 1, SIDE) * torch.linspace(-1, 2, SIDE)[:, None]
    loss = torch.stack(
        [(image.reshape(SIDE, SIDE, -1).sum(-1) * ramp).sum() for image in rendered]
    ).sum()
    gradients = torch.autograd.grad(loss, [*leaves, background])
    return [image.detach() for image in rendered], list(gradients)


@pytest.mark.parametrize("kind", [Gaussians, Surfels])
@pytest.mark.parametrize("sigma_px", [1.5, 4.0])
@pytest.mark.parametrize("n_channels", [3, 7])
def test_pictures_and_gradients_agree(
    kind: type[Gaussians | Surfels], sigma_px: float, n_channels: int
) -> None:
    """99.9 % of the pixels within 1e-3, gradients within 1 % of their norm.

    The others lie at tile borders, where gsplat cuts what the low-pass widens, or where rounding
    moves a contribution over 1/255.
    """
    splats = head(kind, sigma_px, n_channels)

    images, gradients = learned(gsplat_cuda, splats)
    expected_images, expected_gradients = learned(cpu, splats)

    for image, expected in zip(images, expected_images, strict=True):
        assert (image - expected).abs().flatten().quantile(0.999) < 1e-3
        assert (image - expected).abs().mean() < 1e-4
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        assert (gradient - expected).norm() <= 0.01 * expected.norm()


@pytest.mark.parametrize("kind", [Gaussians, Surfels])
def test_tensors_on_the_gpu_stay_there(kind: type[Gaussians | Surfels]) -> None:
    """No picture leaves the device of the means."""
    splats = kind(*(t.cuda() for t in head(kind, 2.0, 3)))

    rendered = draw_kind(gsplat_cuda, splats, torch.eye(4), K, SIDE, SIDE)

    assert {"cuda"} == {image.device.type for image in rendered}


@pytest.mark.parametrize("kind", [Gaussians, Surfels])
def test_screen_statistics_agree(kind: type[Gaussians | Surfels]) -> None:
    """The sums that densification reads, within 1 %."""
    sums = []
    for module in (gsplat_cuda, cpu):
        statistics = ScreenStatistics(torch.zeros(N), torch.zeros(N, dtype=torch.int64))
        leaves = kind(*(t.clone().requires_grad_() for t in head(kind, 2.0, 3)))
        draw_any = module.rasterize_surfels if kind is Surfels else module.rasterize
        camera = (torch.eye(4), K, SIDE, SIDE)
        rendered = draw_any(leaves, *camera, statistics=statistics)
        rendered.colors.square().sum().backward()
        sums.append(statistics.gradient)

    assert (sums[0] - sums[1]).norm() <= 0.01 * sums[1].norm()
