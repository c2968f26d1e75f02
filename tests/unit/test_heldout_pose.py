"""The held-out frames' head pose is refined by what the avatar looks like."""

import torch
from torch import Tensor

from services.trainer.heldout_pose import SHRINK, correction, refine_heldout_pose
from shared.gaussians import Gaussians
from shared.geometry.rotations import axis_angle_to_matrix
from shared.head_model import HeadPose
from shared.progress import silent
from tests.fakes import fake_motion

SIZE = 48
FOCAL_PX = 100.0
DISTANCE_M = 1.0
ERROR = torch.tensor([0.008, -0.01, 0.006, 0.002, -0.0015, 0.004])
"""A typical error of tracking: radians, then metres."""


class Constellation:
    """Soft points fixed to a head."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(9)
        self._points = 0.1 * torch.randn(60, 3, generator=generator)
        self._colors = torch.rand(60, 3, generator=generator)

    def condition(self, motion: HeadPose) -> Tensor:
        """Rotation and translation. -> [T, 6]"""
        return torch.cat([motion.rotation, motion.translation], 1)

    def pose(self, condition: Tensor) -> Gaussians:
        """Drawn by ``draw`` below."""
        raise NotImplementedError

    def draw(self, condition: Tensor, shrink: int) -> Tensor:
        """Sum of soft spots. [SIZE / shrink, SIZE / shrink, 3]"""
        places = self._points @ axis_angle_to_matrix(condition[:3]).T + condition[3:]
        depth = DISTANCE_M - places[:, 2]
        pixels = places[:, :2] / depth[:, None] * FOCAL_PX + SIZE / 2
        line = shrink * (torch.arange(SIZE // shrink) + 0.5)
        across = torch.exp(-0.5 * ((line - pixels[:, :1]) / 2).square())  # [M, S]
        down = torch.exp(-0.5 * ((line - pixels[:, 1:]) / 2).square())
        return torch.einsum("mh,mw,mc->hwc", down, across, self._colors) * 0.3


def wrong_motion(n_frames: int) -> tuple[HeadPose, HeadPose]:
    """The true motion and one that is off by ERROR, with changing signs."""
    truth = fake_motion(n_frames)
    signs = torch.where(torch.arange(n_frames) % 2 == 0, 1.0, -1.0)[:, None]
    tracked = truth._replace(
        rotation=truth.rotation + signs * ERROR[:3],
        translation=truth.translation + signs * ERROR[3:],
    )
    return truth, tracked


def test_a_known_error_is_removed() -> None:
    """Six sevenths of what tracking was off by are gone; of depth, which shows least, half."""
    model = Constellation()
    truth, tracked = wrong_motion(2)
    conditions = model.condition(truth)

    rotation, translation = refine_heldout_pose(
        model,
        tracked,
        draw=model.draw,
        read_target=lambda frame: model.draw(conditions[frame], SHRINK),
        progress=silent,
    )

    left = torch.cat([rotation - truth.rotation, translation - truth.translation], 1).abs()
    assert bool((left[:, :5] < 0.14 * ERROR[:5].abs()).all())
    assert bool((left[:, 5] < 0.5 * ERROR[5]).all())


def test_a_right_pose_is_left_alone() -> None:
    """Without an error in the picture there is nothing to correct."""
    model = Constellation()
    truth, _ = wrong_motion(2)
    conditions = model.condition(truth)

    rotation, translation = refine_heldout_pose(
        model,
        truth,
        draw=model.draw,
        read_target=lambda frame: model.draw(conditions[frame], SHRINK),
        progress=silent,
    )

    torch.testing.assert_close(rotation, truth.rotation, atol=1e-5, rtol=0)
    torch.testing.assert_close(translation, truth.translation, atol=1e-5, rtol=0)


def test_progress_ends_at_one() -> None:
    """Each frame is told of, in order."""
    model = Constellation()
    truth, tracked = wrong_motion(2)
    conditions = model.condition(truth)
    told: list[float] = []

    refine_heldout_pose(
        model,
        tracked,
        draw=model.draw,
        read_target=lambda frame: model.draw(conditions[frame], SHRINK),
        progress=lambda fraction, _message: told.append(fraction),
    )

    assert sorted(told) == told
    assert 1.0 == told[-1]


def test_a_picture_that_shows_nothing_moves_nothing() -> None:
    """Where no probe changes the picture, the prior alone decides."""
    images = torch.full((7, 300), 0.5)

    step = correction(images, torch.full((300,), 0.9), torch.zeros(6))

    assert torch.equal(torch.zeros(6), step)
