"""Frames that Gaussians ride on."""

import pytest
import torch

from shared.geometry.rotations import axis_angle_to_matrix
from shared.rigging.triangle_frames import MIN_SIZE_M, triangle_frames

FACE = torch.tensor([[0, 1, 2]])


def random_mesh() -> tuple[torch.Tensor, torch.Tensor]:
    """Twenty vertices, thirty triangles of different corners."""
    generator = torch.Generator().manual_seed(2)
    vertices = torch.randn(20, 3, generator=generator)
    faces = torch.stack([torch.randperm(20, generator=generator)[:3] for _ in range(30)])
    return vertices, faces


def test_right_triangle_has_the_frame_of_the_paper() -> None:
    """Its edge, its normal and their cross product; its size is the mean of base and height."""
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0]])

    frames = triangle_frames(vertices, FACE)

    torch.testing.assert_close(frames.centres, torch.tensor([[2 / 3, 1 / 3, 0]]))
    torch.testing.assert_close(
        frames.rotations[0].T, torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    )
    assert 1.5 == pytest.approx(frames.sizes.item())


def test_frames_are_rotations() -> None:
    """Columns are orthonormal and right-handed."""
    rotations = triangle_frames(*random_mesh()).rotations

    eye = torch.eye(3).expand(30, 3, 3)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), eye, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(30))


def test_frames_move_with_the_mesh() -> None:
    """A turned, shifted and doubled mesh has turned, shifted and doubled frames."""
    vertices, faces = random_mesh()
    turn = axis_angle_to_matrix(torch.tensor([0.4, -1.1, 0.7]))
    shift = torch.tensor([0.1, 2.0, -3.0])
    before = triangle_frames(vertices, faces)

    after = triangle_frames(2 * vertices @ turn.T + shift, faces)

    torch.testing.assert_close(after.rotations, turn @ before.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        after.centres, 2 * before.centres @ turn.T + shift, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(after.sizes, 2 * before.sizes)


@pytest.mark.parametrize("flat", [[[0.0, 0, 0]] * 3, [[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
def test_collapsed_triangles_stay_finite(flat: list[list[float]]) -> None:
    """A closed eye neither divides by zero nor gives a gradient without a value."""
    vertices = torch.tensor(flat, requires_grad=True)

    frames = triangle_frames(vertices, FACE)
    sum(part.sum() for part in frames).backward()  # type: ignore[union-attr]  # a tensor

    assert all(bool(torch.isfinite(part).all()) for part in frames)
    assert frames.sizes.item() >= 0.99 * MIN_SIZE_M
    assert vertices.grad is not None
    assert bool(torch.isfinite(vertices.grad).all())
