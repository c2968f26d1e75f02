"""Camera and head pose of a video."""

from math import pi

import pytest
import torch

from services.renderer.camera_path import hold_head, orbit_views, usual_pose
from tests.fakes import fake_motion, fake_subject


def test_orbit_turns_about_the_head() -> None:
    """The pivot stays in its place, its distance to the camera too."""
    viewmat = fake_subject().viewmat
    pivot = torch.tensor([0.1, 0.2, 0.05])

    views = orbit_views(viewmat, pivot, 40, swing_rad=0.3, period_frames=40)

    seen = views[:, :3, :3] @ pivot + views[:, :3, 3]
    expected = viewmat[:3, :3] @ pivot + viewmat[:3, 3]
    torch.testing.assert_close(seen, expected.expand(40, 3), atol=1e-6, rtol=0)


def test_orbit_starts_at_the_capture_and_swings_to_both_sides() -> None:
    """A quarter of the period on, the angle is the largest; half a period on, it is zero."""
    views = orbit_views(torch.eye(4), torch.zeros(3), 41, swing_rad=pi / 6, period_frames=40)

    torch.testing.assert_close(views[0], torch.eye(4))
    assert 0.5 == pytest.approx(abs(float(views[10, 0, 2])), abs=1e-5)
    torch.testing.assert_close(views[10, 0, 2], -views[30, 0, 2], atol=1e-5, rtol=0)
    torch.testing.assert_close(views[20], torch.eye(4), atol=1e-5, rtol=0)


def test_held_head_still_speaks() -> None:
    """Only the head pose is frozen."""
    motion = fake_motion(10)

    held = hold_head(motion, usual_pose(motion))

    assert 0.0 == float(held.translation.std(dim=0).max())
    torch.testing.assert_close(held.expr, motion.expr)
    assert motion.translation.shape == held.translation.shape


def test_usual_pose_is_a_frame_of_the_track() -> None:
    """The frame nearest to the median, not an average that never was."""
    motion = fake_motion(30)
    outlier = motion.translation.clone()
    outlier[3] = 5.0

    pose = usual_pose(motion._replace(translation=outlier))

    matches = (outlier == pose.translation).all(dim=1)
    assert matches.any()
    assert not matches[3]
