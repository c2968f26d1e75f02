"""The CPU rasterizer against the float64 reference, and its refusals."""

import pytest
import torch
from torch import Tensor

from shared.errors import InvalidInput
from shared.gaussians import Gaussians
from shared.geometry.rotations import axis_angle_to_matrix
from shared.rasterizers import cpu
from tests import reference_rasterizer

WIDTH, HEIGHT = 53, 37


def make_camera() -> tuple[Tensor, Tensor]:
    """A turned camera with an off-centre principal point. float64"""
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = axis_angle_to_matrix(torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64))
    viewmat[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
    intrinsics = torch.tensor([[60.0, 0, 27], [0, 58, 18], [0, 0, 1]], dtype=torch.float64)
    return viewmat, intrinsics


def make_gaussians(seed: int, n: int = 60, sigma: float = 0.05, channels: int = 3) -> Gaussians:
    """Random Gaussians in front of the camera, some of them behind it. float64"""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    means = normal(n, 3) * 0.4 + torch.tensor([0, 0, 2.5], dtype=torch.float64)
    means[: n // 10, 2] = -1
    return Gaussians(
        means,
        normal(n, 4),
        torch.exp(normal(n, 3) * 0.5) * sigma,
        torch.sigmoid(normal(n) + 1),
        torch.rand(n, channels, generator=generator, dtype=torch.float64),
    )


def draw_with_gradients(
    rasterizer: object, dtype: torch.dtype, gaussians: Gaussians, background: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """The three images, and the gradients of a fixed random loss in the six inputs."""
    viewmat, intrinsics = make_camera()
    inputs = [t.detach().clone().to(dtype).requires_grad_() for t in (*gaussians, background)]
    rendered = rasterizer.rasterize(  # type: ignore[attr-defined]
        Gaussians(*inputs[:5]), viewmat.to(dtype), intrinsics.to(dtype), WIDTH, HEIGHT, inputs[5]
    )
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in rendered]
    loss = sum((t * w.to(dtype)).sum() for t, w in zip(rendered, weights, strict=True))
    gradients = torch.autograd.grad(loss, inputs)
    return [t.detach().double() for t in rendered], [t.double() for t in gradients]


@pytest.mark.parametrize(("seed", "sigma"), [(0, 0.05), (1, 0.02), (2, 0.3)])
def test_images_and_gradients_equal_the_reference(seed: int, sigma: float) -> None:
    """Images agree within 1e-4 and gradients within 1e-4 of their norm, saturated scenes too."""
    gaussians = make_gaussians(seed, sigma=sigma)
    background = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)

    images, gradients = draw_with_gradients(cpu, torch.float32, gaussians, background)
    expected_images, expected_gradients = draw_with_gradients(
        reference_rasterizer, torch.float64, gaussians, background
    )

    for expected, actual in zip(expected_images, images, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-4)
    for expected, actual in zip(expected_gradients, gradients, strict=True):
        assert (actual - expected).norm() <= 1e-4 * expected.norm()


def test_wrong_shape_is_refused() -> None:
    """Opacities of the wrong length raise ``bad_gaussians``."""
    gaussians = Gaussians(*(t.float() for t in make_gaussians(0)))
    viewmat, intrinsics = make_camera()

    with pytest.raises(InvalidInput) as refusal:
        cpu.rasterize(
            gaussians._replace(opacities=gaussians.opacities[:-1]), viewmat, intrinsics, 8, 8
        )

    assert "bad_gaussians" == refusal.value.code
