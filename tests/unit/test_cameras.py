"""The pinhole camera in front of a head."""

import torch

from shared.geometry.cameras import frontal_viewmat, intrinsics, project, to_camera


def test_origin_projects_to_the_centre() -> None:
    """The camera looks at the world's origin from its distance."""
    viewmat = frontal_viewmat(2.0)

    camera = to_camera(torch.zeros(3), viewmat)
    pixel = project(torch.zeros(3), viewmat, intrinsics(900.0, 512))

    assert torch.equal(torch.tensor([0.0, 0.0, 2.0]), camera)
    assert torch.equal(torch.tensor([256.0, 256.0]), pixel)


def test_subject_left_is_image_right_and_up_is_up() -> None:
    """A point to the subject's left and above lands right of and above the centre."""
    pixel = project(torch.tensor([[0.1, 0.2, 0.0]]), frontal_viewmat(1.0), intrinsics(100.0, 64))

    assert torch.allclose(torch.tensor([[42.0, 12.0]]), pixel)


def test_what_is_nearer_is_larger() -> None:
    """Half the depth doubles the distance from the centre."""
    points = torch.tensor([[0.1, 0.0, 0.0], [0.1, 0.0, 0.5]])

    pixels = project(points, frontal_viewmat(1.0), intrinsics(100.0, 64))

    assert torch.allclose(torch.tensor([10.0, 20.0]), pixels[:, 0] - 32)
