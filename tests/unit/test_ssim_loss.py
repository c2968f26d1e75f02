"""The training loss's SSIM against a plain float64 reference."""

import pytest
import torch
from torch import Tensor

from services.trainer.ssim import C1, C2, RADIUS, gaussian_window, ssim


def reference_ssim(image: Tensor, target: Tensor) -> Tensor:
    """Wang et al. 2004 with zero padding, by torch's convolution. [H, W, C] float64"""
    taps = torch.from_numpy(gaussian_window()).double()
    channels = image.shape[2]
    window = torch.outer(taps, taps).expand(channels, 1, -1, -1)

    def blur(x: Tensor) -> Tensor:
        planes = x.permute(2, 0, 1)[None]
        return torch.nn.functional.conv2d(planes, window, padding=RADIUS, groups=channels)[0]

    mx, my = blur(image), blur(target)
    spread = blur(image * image) - mx * mx + blur(target * target) - my * my
    together = blur(image * target) - mx * my
    values = (2 * mx * my + C1) * (2 * together + C2) / ((mx**2 + my**2 + C1) * (spread + C2))
    return values.mean()


def make_pair(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """A random picture and a disturbed copy."""
    generator = torch.Generator().manual_seed(sum(shape))
    target = torch.rand(shape, generator=generator)
    image = (target + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)
    return image, target


@pytest.mark.parametrize("shape", [(32, 48, 3), (33, 21, 3), (7, 5, 1)])
def test_value_and_gradient_equal_the_reference(shape: tuple[int, int, int]) -> None:
    """Value within 1e-5, gradient within 1e-4 of its norm, also where the window is larger."""
    image, target = make_pair(shape)
    fast = image.clone().requires_grad_()
    plain = image.double().requires_grad_()

    actual = ssim(fast, target)
    expected = reference_ssim(plain, target.double())
    (3 * actual).backward()
    (3 * expected).backward()

    assert fast.grad is not None
    assert plain.grad is not None
    assert expected.item() == pytest.approx(actual.item(), abs=1e-5)
    assert (fast.grad - plain.grad).norm() < 1e-4 * plain.grad.norm()


def test_equal_pictures_have_similarity_one() -> None:
    """A picture is like itself."""
    image, _ = make_pair((20, 24, 3))

    assert 1.0 == pytest.approx(ssim(image, image.clone()).item(), abs=1e-6)


def test_needs_no_gradient_to_be_computed() -> None:
    """The validation curve asks for the value alone."""
    image, target = make_pair((20, 24, 3))

    value = ssim(image, target)

    assert not value.requires_grad
    assert reference_ssim(image.double(), target.double()).item() == pytest.approx(
        value.item(), abs=1e-5
    )
