"""Layers are drawn over each other."""

import torch

from shared.gaussians import Gaussians
from shared.layers import draw_layers
from shared.rasterizers import cpu
from tests.fakes import FAKE_CROP_SIZE, fake_subject

CAMERA = (fake_subject().viewmat, fake_subject().K)
SIZE = (FAKE_CROP_SIZE, FAKE_CROP_SIZE)
MIDDLE = FAKE_CROP_SIZE // 2


def make_dot(depth: float, color: tuple[float, float, float], opacity: float) -> Gaussians:
    """One large Gaussian on the camera's axis, ``depth`` metres behind the origin."""
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, -depth]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]),
        scales=torch.full((1, 3), 0.05),
        opacities=torch.tensor([opacity]),
        colors=torch.tensor([color]),
    )


def test_one_layer_is_drawn_as_it_is() -> None:
    """To the last bit."""
    dot = make_dot(0.0, (1.0, 0.5, 0.0), 0.8)
    wall = torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(0))

    drawn = draw_layers(cpu, (dot,), CAMERA, SIZE, wall)

    expected = cpu.rasterize(dot, *CAMERA, *SIZE, wall)
    assert all(torch.equal(one, other) for one, other in zip(expected, drawn, strict=True))


def test_the_first_layer_is_in_front_whatever_its_depth() -> None:
    """A face hides a mouth that lies before it."""
    face, mouth = make_dot(0.1, (1.0, 0, 0), 0.75), make_dot(0.0, (0, 1.0, 0), 0.5)

    drawn = draw_layers(cpu, (face, mouth), CAMERA, SIZE, torch.tensor([0.0, 0.0, 1.0]))

    expected = torch.tensor([0.75, 0.25 * 0.5, 0.25 * 0.5])
    torch.testing.assert_close(drawn.colors[MIDDLE, MIDDLE], expected, atol=0.02, rtol=0)


def test_alpha_and_depth_are_those_of_the_whole() -> None:
    """1 - (1 - a)(1 - b), and depths weighted by what is seen of each layer."""
    layers = (make_dot(0.1, (1.0, 0, 0), 0.75), make_dot(0.0, (0, 1.0, 0), 0.5))
    alone = [cpu.rasterize(layer, *CAMERA, *SIZE) for layer in layers]

    drawn = draw_layers(cpu, layers, CAMERA, SIZE)

    through = 1 - alone[0].alpha
    torch.testing.assert_close(1 - through * (1 - alone[1].alpha), drawn.alpha)
    torch.testing.assert_close(alone[0].depth + through * alone[1].depth, drawn.depth)


def test_gradients_reach_every_layer() -> None:
    """What is behind is learned through what is before it."""
    layers = tuple(make_dot(0.0, (0.5, 0.5, 0.5), 0.5) for _ in range(3))
    for layer in layers:
        layer.colors.requires_grad_(True)  # noqa: FBT003 - torch

    draw_layers(cpu, layers, CAMERA, SIZE).colors.sum().backward()

    strengths = [
        layer.colors.grad.sum().item() for layer in layers if layer.colors.grad is not None
    ]
    assert 3 == len(strengths)
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[-1] > 0
