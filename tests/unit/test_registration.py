"""Head pose is registered to pictures by what the avatar looks like."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.trainer.frames import FrameCache
from services.trainer.options import Budget
from services.trainer.registration import SHRINK, correction, register_heldout, register_training
from services.trainer.run import Run
from services.trainer.studio import Studio
from shared.avatar_method import Needs, Performance, TrainableModel
from shared.dataset_reader import TrackedDataset
from shared.gaussians import Gaussians
from shared.geometry.rotations import axis_angle_to_matrix
from shared.head_model import HeadPose
from shared.layers import Layers
from shared.plugins import load_plugin
from shared.progress import silent
from shared.training_schedule import Schedule
from tests.fakes import FAKE_CROP_SIZE, fake_motion, fake_subject

N_FRAMES = 2
ERROR = torch.tensor([0.008, -0.01, 0.006, 0.002, -0.0015, 0.004])
"""A typical error of tracking: radians, then metres."""


class Constellation:
    """Soft points fixed to a head, each of a colour; frames may be corrected."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(9)
        self._points = 0.07 * torch.randn(60, 3, generator=generator)
        self._colors = torch.rand(60, 3, generator=generator)
        self.deltas = torch.zeros(N_FRAMES, 6)

    def condition(self, performance: Performance) -> Tensor:
        """Rotation and translation. -> [T, 6]"""
        motion = performance.pose
        return torch.cat([motion.rotation, motion.translation], 1)

    def training_condition(self, frame: int) -> Tensor:
        """The same with the frame's correction. -> [6]"""
        return self.condition(Performance(fake_motion(N_FRAMES)))[frame] + self.deltas[frame]

    def regions(self) -> None:
        """Points belong to no face."""

    def placements(self) -> list[Tensor]:
        """The corrections."""
        return [self.deltas]

    def pose(self, condition: Tensor) -> Layers:
        """Turned and moved."""
        n = len(self._points)
        posed = Gaussians(
            means=self._points @ axis_angle_to_matrix(condition[:3]).T + condition[3:],
            quats=torch.tensor([1.0, 0, 0, 0]).expand(n, 4).contiguous(),
            scales=torch.full((n, 3), 0.012),
            opacities=torch.full((n,), 0.8),
            colors=self._colors,
        )
        return (posed,)


class TruePictures:
    """What a camera saw of the constellation: the true motion, without corrections."""

    def __init__(self, studio: Studio) -> None:
        model = Constellation()
        conditions = model.condition(Performance(fake_motion(N_FRAMES)))
        small = [studio.draw_condition(model, row, SHRINK).colors for row in conditions]
        # Blocks of one colour: shrunken again they are what the half-size camera saw.
        self.images = [
            image.repeat_interleave(SHRINK, 0).repeat_interleave(SHRINK, 1) for image in small
        ]

    def read(self, frame: int) -> NDArray[np.uint8]:
        """As a frame cache gives it. [S, S, 3]"""
        image: NDArray[np.uint8] = (self.images[frame] * 255).round().byte().numpy()
        return image


def make_run() -> tuple[Run, TruePictures]:
    """A training of the constellation before a black wall, and what the camera saw."""
    sides = {shrink: FAKE_CROP_SIZE // shrink for shrink in (1, 2)}
    walls = {shrink: torch.zeros(side, side, 3) for shrink, side in sides.items()}
    studio = Studio(load_plugin("shared.rasterizers", "cpu"), fake_subject(), walls)
    pictures = TruePictures(studio)
    run = Run(
        dataset=cast(TrackedDataset, None),
        subject=studio.subject,
        studio=studio,
        cache=cast(FrameCache, pictures),
        train=list(range(N_FRAMES)),
        validation=[],
        budget=Budget(1, 1, 1),
        needs=Needs(),
        schedule=Schedule(),
        seed=0,
    )
    return run, pictures


def signed_error() -> Tensor:
    """ERROR with another sign in each frame. [T, 6]"""
    return ERROR * torch.tensor([[1.0], [-1.0]])


def wrong_motion() -> HeadPose:
    """What tracking says."""
    truth, error = fake_motion(N_FRAMES), signed_error()
    return truth._replace(
        rotation=truth.rotation + error[:, :3], translation=truth.translation + error[:, 3:]
    )


def test_a_known_error_of_heldout_frames_is_removed() -> None:
    """Four fifths of what tracking was off by are gone; of depth, which shows least, half."""
    run, pictures = make_run()
    truth = fake_motion(N_FRAMES)

    rotation, translation = register_heldout(
        run,
        Constellation(),
        Performance(wrong_motion()),
        lambda frame: pictures.images[frame],
        silent,
    )

    left = torch.cat([rotation - truth.rotation, translation - truth.translation], 1).abs()
    assert bool((left[:, :5] < 0.2 * ERROR[:5].abs()).all())
    assert bool((left[:, 5] < 0.5 * ERROR[5]).all())


def test_a_right_heldout_pose_is_left_alone() -> None:
    """Without an error in the picture there is nothing to correct."""
    run, pictures = make_run()
    truth = fake_motion(N_FRAMES)

    rotation, translation = register_heldout(
        run, Constellation(), Performance(truth), lambda frame: pictures.images[frame], silent
    )

    torch.testing.assert_close(rotation, truth.rotation, atol=1e-4, rtol=0)
    torch.testing.assert_close(translation, truth.translation, atol=1e-4, rtol=0)


def test_progress_of_heldout_frames_ends_at_one() -> None:
    """Each frame is told of, in order."""
    run, pictures = make_run()
    told: list[float] = []

    register_heldout(
        run,
        Constellation(),
        Performance(wrong_motion()),
        lambda frame: pictures.images[frame],
        lambda fraction, _message: told.append(fraction),
    )

    assert sorted(told) == told
    assert 1.0 == told[-1]


def test_training_frames_are_corrected_in_place() -> None:
    """Three rounds take off most of a known error, of all frames."""
    run, _ = make_run()
    model = Constellation()
    model.deltas += signed_error()

    for _ in range(3):
        register_training(run, cast(TrainableModel, model), silent)

    assert bool((model.deltas[:, :5].abs() < 0.25 * ERROR[:5].abs()).all())


def test_every_registered_training_frame_is_told() -> None:
    """A pass over a long capture takes minutes and must not look stalled."""
    run, _ = make_run()
    told: list[float] = []

    register_training(
        run,
        cast(TrainableModel, Constellation()),
        lambda fraction, _message: told.append(fraction),
    )

    assert len(run.train) == len(set(told))
    assert 0 <= min(told) < max(told) <= 1


def test_a_picture_that_shows_nothing_moves_nothing() -> None:
    """Where no probe changes the picture, the prior alone decides."""
    images = [torch.full((300,), 0.5)] * 7

    step = correction(images, torch.full((300,), 0.9), torch.zeros(6))

    assert torch.equal(torch.zeros(6), step)


def test_the_prior_pulls_back() -> None:
    """What the picture does not hold returns to where tracking had it."""
    images = [torch.full((300,), 0.5)] * 7

    step = correction(images, images[0], ERROR)

    torch.testing.assert_close(step, -ERROR)
