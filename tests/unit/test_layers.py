"""Layers are drawn over each other."""

import pytest
import torch

from shared.gaussians import Gaussians, Surfels
from shared.layers import FLATNESS, choose_rows, draw_layers, join_layers
from shared.rasterizer import RenderedSurfels
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


def make_disc(depth: float, opacity: float) -> Surfels:
    """A surfel in the place of a dot."""
    dot = make_dot(depth, (0.2, 0.4, 0.6), opacity)
    return Surfels(dot.means, dot.quats, torch.tensor([[0.05, 0.03]]), dot.opacities, dot.colors)


def test_a_layer_of_surfels_keeps_what_it_shows_of_the_surface() -> None:
    """Normals and distortion, to the last bit."""
    disc = make_disc(0.0, 0.8)

    drawn = draw_layers(cpu, (disc,), CAMERA, SIZE)

    expected = cpu.rasterize_surfels(disc, *CAMERA, *SIZE)
    assert isinstance(drawn, RenderedSurfels)
    assert all(torch.equal(one, other) for one, other in zip(expected, drawn, strict=True))


def test_layers_of_surfels_are_drawn_over_each_other() -> None:
    """As layers of Gaussians are."""
    front, back = make_disc(0.1, 0.75), make_disc(0.0, 0.5)

    drawn = draw_layers(cpu, (front, back), CAMERA, SIZE)

    assert 1 - 0.25 * 0.5 == pytest.approx(float(drawn.alpha[MIDDLE, MIDDLE]), abs=0.02)


def test_surfels_join_as_flat_gaussians() -> None:
    """For what knows Gaussians only, such as a splat file."""
    joined = join_layers((make_disc(0.1, 0.75), make_disc(0.0, 0.5)))

    thickness = FLATNESS * 0.03
    torch.testing.assert_close(torch.tensor([[0.05, 0.03, thickness]] * 2), joined.scales)


def test_some_rows_of_a_layer_are_of_its_kind() -> None:
    """Surfels stay surfels."""
    chosen = choose_rows(make_disc(0.1, 0.75), torch.tensor([0, 0]))

    assert isinstance(chosen, Surfels)
    assert (2, 2) == tuple(chosen.scales.shape)
