"""Points of a picture are put onto the posed mesh."""

import torch
from torch import Tensor

from shared.geometry.cameras import frontal_viewmat, intrinsics, project
from shared.head_model import HeadPose, neutral_vertices, pose_vertices
from shared.rigging.seeding import Bound, bind_pixels
from shared.rigging.triangle_frames import triangle_frames
from tests.tracked_person import SIDE, make_seeds, make_subject

CAMERA_M = 1.0
PICTURE_PX = 64
FOCAL_PX = 160.0
TWO_SQUARES = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
EVERY_FACE = torch.ones(4, dtype=torch.bool)


def world_places(bound: Bound, vertices: Tensor, faces: Tensor) -> Tensor:
    """Where bound points lie. [M, 3]"""
    frames = triangle_frames(vertices, faces)
    place = bound.local * frames.sizes[bound.binding, None]
    turned = (frames.rotations[bound.binding] @ place[..., None])[..., 0]
    return frames.centres[bound.binding] + turned


def square(left: float, right: float, z: float) -> Tensor:
    """Corners of an upright square around the optical axis's height. [4, 3]"""
    return torch.tensor([[left, -0.05, z], [right, -0.05, z], [right, 0.05, z], [left, 0.05, z]])


def bind(
    pixels: list[list[float]], vertices: Tensor, faces: Tensor, allowed: Tensor = EVERY_FACE
) -> tuple[Bound, Tensor]:
    """Bound points and their world places before a camera at 1 m."""
    bound = bind_pixels(
        torch.tensor(pixels),
        vertices,
        faces,
        allowed,
        viewmat=frontal_viewmat(CAMERA_M),
        K=intrinsics(FOCAL_PX, PICTURE_PX),
        crop_size=PICTURE_PX,
    )
    return bound, world_places(bound, vertices, faces)


def test_bound_pixels_project_back_to_themselves() -> None:
    """On a whole head: each point lies on its pixel's ray, be it on the mesh or beside it."""
    subject = make_subject()
    model = subject.head_model
    pose = HeadPose(*(values[5:6] for values in subject.training_pose))
    vertices = pose_vertices(model, neutral_vertices(model, subject.shape), pose)[0]
    pixels = make_seeds()[0].pixels

    bound = bind_pixels(
        pixels,
        vertices,
        model.faces,
        torch.ones(len(model.faces), dtype=torch.bool),
        viewmat=subject.viewmat,
        K=subject.K,
        crop_size=SIDE,
    )

    places = world_places(bound, vertices, model.faces)
    back = project(places, subject.viewmat, subject.K)
    torch.testing.assert_close(back, pixels, atol=0.01, rtol=0)


def test_points_lie_on_the_nearest_square() -> None:
    """Where two cover a pixel, the one towards the camera takes it."""
    vertices = torch.cat([square(-0.1, 0.1, 0.0), square(-0.1, 0.0, 0.1)])

    bound, places = bind([[22.0, 32.0], [42.0, 32.0]], vertices, TWO_SQUARES)

    assert bound.binding[0].item() in {2, 3}
    assert bound.binding[1].item() in {0, 1}
    torch.testing.assert_close(places[:, 2], torch.tensor([0.1, 0.0]), atol=1e-5, rtol=0)


def test_what_misses_the_mesh_takes_the_nearest_cover() -> None:
    """A point beside the right square has its depth and one of its triangles."""
    vertices = torch.cat([square(-0.15, -0.05, 0.1), square(0.05, 0.1, -0.1)])

    bound, places = bind([[60.0, 32.0]], vertices, TWO_SQUARES)

    assert bound.binding.item() in {2, 3}
    torch.testing.assert_close(places[:, 2], torch.tensor([-0.1]), atol=1e-5, rtol=0)


def test_faces_that_are_not_allowed_are_looked_through() -> None:
    """A point of the rear square lies on it, though the front one covers it."""
    vertices = torch.cat([square(-0.1, 0.1, 0.0), square(-0.1, 0.0, 0.1)])
    allowed = torch.tensor([True, True, False, False])

    bound, places = bind([[22.0, 32.0]], vertices, TWO_SQUARES, allowed)

    assert bound.binding.item() in {0, 1}
    torch.testing.assert_close(places[:, 2], torch.tensor([0.0]), atol=1e-5, rtol=0)


def test_pixel_sizes_are_in_triangle_sizes() -> None:
    """One pixel at 1 m is 1/160 m."""
    vertices = torch.cat([square(-0.1, 0.1, 0.0), square(0.2, 0.25, 0.0)])

    bound, _ = bind([[32.0, 34.0]], vertices, TWO_SQUARES)

    size = triangle_frames(vertices, TWO_SQUARES).sizes[bound.binding]
    torch.testing.assert_close(bound.pixel_sizes * size, torch.tensor([CAMERA_M / FOCAL_PX]))


def test_points_outside_the_picture_are_bound_too() -> None:
    """Their nearest pixel of the picture counts."""
    vertices = torch.cat([square(-0.1, 0.1, 0.0), square(-0.1, 0.0, 0.1)])

    bound, _ = bind([[-3.0, 70.0]], vertices, TWO_SQUARES)

    assert bool(torch.isfinite(bound.local).all())
