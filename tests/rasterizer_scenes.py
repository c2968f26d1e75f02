"""Small random scenes for the rasterizers' tests, in float64."""

from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from shared.gaussians import Gaussians, Surfels
from shared.geometry.rotations import axis_angle_to_matrix
from shared.rasterizer import Rendered, RenderedSurfels

WIDTH, HEIGHT = 53, 37  # odd on purpose: tiles are 16 px


def make_camera() -> tuple[Tensor, Tensor]:
    """A turned camera with an off-centre principal point: viewmat and K."""
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = axis_angle_to_matrix(torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64))
    viewmat[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
    intrinsics = torch.tensor([[60.0, 0, 27], [0, 58, 18], [0, 0, 1]], dtype=torch.float64)
    return viewmat, intrinsics


def make_gaussians(
    seed: int, *, n: int = 60, sigma: float = 0.05, n_channels: int = 3
) -> Gaussians:
    """Random Gaussians around the optical axis, a tenth of them behind the camera."""
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
        torch.rand(n, n_channels, generator=generator, dtype=torch.float64),
    )


def make_background(seed: int, n_channels: int, *, is_image: bool) -> Tensor:
    """Random colours."""
    generator = torch.Generator().manual_seed(seed)
    shape = (HEIGHT, WIDTH, n_channels) if is_image else (n_channels,)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def make_surfels(seed: int, *, n: int = 60, sigma: float = 0.05, n_channels: int = 3) -> Surfels:
    """The same as discs: the third scale is dropped."""
    gaussians = make_gaussians(seed, n=n, sigma=sigma, n_channels=n_channels)
    return Surfels(*gaussians._replace(scales=gaussians.scales[:, :2]))


class Drawn(NamedTuple):
    """Every image and the gradients of a fixed random loss of them in the six inputs."""

    images: list[Tensor]
    gradients: list[Tensor]


def draw(
    rasterizer: ModuleType,
    dtype: torch.dtype,
    gaussians: Gaussians | Surfels,
    background: Tensor,
) -> Drawn:
    """Draw in ``dtype``, results in float64; an image as background gives the size."""
    height, width = background.shape[:2] if background.ndim > 1 else (HEIGHT, WIDTH)
    viewmat, intrinsics = make_camera()
    inputs = [t.detach().clone().to(dtype).requires_grad_() for t in (*gaussians, background)]
    camera = (viewmat.to(dtype), intrinsics.to(dtype), width, height, inputs[5])
    rendered = draw_kind(rasterizer, type(gaussians)(*inputs[:5]), *camera)
    generator = torch.Generator().manual_seed(1)
    loss = torch.zeros((), dtype=dtype)
    for image in rendered:
        weights = torch.randn(image.shape, generator=generator, dtype=torch.float64)
        loss = loss + (image * weights.to(dtype)).sum()
    gradients = torch.autograd.grad(loss, inputs)
    return Drawn([t.detach().double() for t in rendered], [t.double() for t in gradients])


def draw_kind(
    rasterizer: ModuleType, gaussians: Gaussians | Surfels, *camera: object
) -> Rendered | RenderedSurfels:
    """Call what draws this kind."""
    if isinstance(gaussians, Surfels):
        return rasterizer.rasterize_surfels(gaussians, *camera)
    return rasterizer.rasterize(gaussians, *camera)


def assert_same(actual: Drawn, expected: Drawn, *, atol: float, rtol_gradient: float) -> None:
    """Images differ at most by ``atol``, gradients by ``rtol_gradient`` of their norm."""
    for got, wanted in zip(actual.images, expected.images, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=atol)
    for got, wanted in zip(actual.gradients, expected.gradients, strict=True):
        assert (got - wanted).norm() <= rtol_gradient * wanted.norm()
