"""The terms that lay surfels on a surface."""

import math

import pytest
import torch
from torch import Tensor

from services.trainer.surface_loss import surface_loss, surface_normals
from shared.gaussians import Surfels
from shared.geometry.rotations import rotate_by_quaternions
from shared.rasterizer import RenderedSurfels
from shared.rasterizers import cpu
from shared.training_schedule import SurfaceWeights
from tests.fakes import FAKE_CROP_SIZE, fake_subject

VIEWMAT, K = fake_subject().viewmat, fake_subject().K
NORMALS = SurfaceWeights(normals=1.0, normals_from=0.2, distortion=0.0)
DISTORTION = SurfaceWeights(normals=0.0, distortion=1.0, distortion_from=0.1)
MIDDLE = slice(FAKE_CROP_SIZE // 2 - 6, FAKE_CROP_SIZE // 2 + 6)


def turned(degrees: float) -> Tensor:
    """A quaternion about the vertical axis."""
    half = math.radians(degrees) / 2
    return torch.tensor([math.cos(half), 0.0, math.sin(half), 0.0])


def make_wall(wall: float, discs: float) -> Surfels:
    """A wall of discs; both it and they are turned by so many degrees."""
    line = torch.linspace(-0.1, 0.1, 21)
    flat = torch.cartesian_prod(line, line)
    places = torch.nn.functional.pad(flat, (0, 1))
    n = len(places)
    return Surfels(
        means=rotate_by_quaternions(places, turned(wall).expand(n, 4)),
        quats=turned(discs).repeat(n, 1).requires_grad_(),
        scales=torch.full((n, 2), 0.01),
        opacities=torch.full((n,), 0.9),
        colors=torch.zeros(n, 3),
    )


def draw(surfels: Surfels) -> RenderedSurfels:
    """As the fake subject's camera sees them."""
    return cpu.rasterize_surfels(surfels, VIEWMAT, K, FAKE_CROP_SIZE, FAKE_CROP_SIZE)


def test_a_wall_s_normal_points_at_the_camera() -> None:
    """In world space, from depths alone, whatever its discs' own normals are."""
    normals = surface_normals(draw(make_wall(20.0, 60.0)), VIEWMAT, K)[MIDDLE, MIDDLE]

    mean = torch.nn.functional.normalize(normals.mean((0, 1)), dim=0)
    angle = math.radians(20.0)
    expected = torch.tensor([math.sin(angle), 0.0, math.cos(angle)])
    assert torch.nn.functional.cosine_similarity(mean, expected, dim=0) > 0.98


def test_discs_that_lie_on_their_wall_cost_least() -> None:
    """The term grows with the angle between."""
    along, across = (
        surface_loss(draw(make_wall(20.0, discs)), NORMALS, 0.5, VIEWMAT, K) for discs in (20, 65)
    )

    assert along < 0.7 * across


def test_discs_are_turned_to_their_wall() -> None:
    """The gradient reaches their rotation."""
    wall = make_wall(0.0, 40.0)

    surface_loss(draw(wall), NORMALS, 0.5, VIEWMAT, K).backward()

    assert wall.quats.grad is not None
    assert wall.quats.grad[:, 2].mean() > 0  # less of the turn costs less


def test_discs_behind_each_other_are_drawn_together() -> None:
    """Distortion is the mean distance in depth within a pixel."""
    near, far = (make_wall(0.0, 0.0) for _ in range(2))
    half = torch.full_like(near.opacities, 0.4)
    costs = []
    for gap in (0.01, 0.05):
        means = torch.cat([near.means, far.means - torch.tensor([0.0, 0, gap])])
        pair = Surfels(*(torch.cat(both) for both in zip(near, far, strict=True)))
        drawn = draw(pair._replace(means=means, opacities=torch.cat([half, half])))
        costs.append(surface_loss(drawn, DISTORTION, 0.5, VIEWMAT, K).item())

    assert 5 == pytest.approx(costs[1] / costs[0], rel=0.2)


def test_terms_wait_for_their_time() -> None:
    """Before it they cost nothing."""
    drawn = draw(make_wall(0.0, 50.0))

    assert 0 == surface_loss(drawn, NORMALS, 0.19, VIEWMAT, K)
    assert 0 == surface_loss(drawn, DISTORTION, 0.09, VIEWMAT, K)
    assert 0 < surface_loss(drawn, NORMALS, 0.2, VIEWMAT, K)
