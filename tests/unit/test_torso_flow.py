"""Torso motion is measured by optical flow."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.trainer.torso_flow import TorsoView, track_torso

U8 = NDArray[np.uint8]

N_FRAMES = 13
REFERENCE = 4
METRES_PER_PX = 0.002
TOLERANCE_PX = 0.1


def make_cloth(size: int) -> U8:
    """A texture with detail of some pixels."""
    noise = np.random.default_rng(1).standard_normal((size, size)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    cloth: U8 = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return cloth


def moving_cloth(size: int, motion: NDArray[np.float64]) -> Callable[[int], U8]:
    """A camera on the cloth, which is moved by x, y (px) and turned (rad) about its centre."""
    cloth = make_cloth(size)
    centre = (size - 1) / 2

    def read_gray(frame: int) -> U8:
        x, y, angle = motion[frame]
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        shift = np.array([x, y]) + centre - turn @ np.array([centre, centre])
        matrix = np.concatenate([turn, shift[:, None]], 1)
        picture: U8 = cv2.warpAffine(
            cloth, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        return picture

    return read_gray


def chest(size: int) -> NDArray[np.bool_]:
    """The middle of the picture."""
    mask = np.zeros((size, size), np.bool_)
    mask[size // 4 : -size // 4, size // 4 : -size // 4] = True
    return mask


def track(size: int, motion: NDArray[np.float64]) -> torch.Tensor:
    """Torso motion found on the moving cloth."""
    view = TorsoView(torch.tensor([size / 2, size / 2]), METRES_PER_PX)
    return track_torso(moving_cloth(size, motion), chest(size), N_FRAMES, REFERENCE, view)


@pytest.mark.parametrize("size", [128, 512])
def test_shifts_are_found_in_metres_and_world_axes(size: int) -> None:
    """Right is +x, down is -y; within 0.1 px, also where pictures are shrunk first."""
    steps = np.arange(N_FRAMES) - REFERENCE
    motion = np.stack([0.37 * steps, -0.23 * steps, 0 * steps], 1)

    found = track(size, motion)

    expected = np.zeros((N_FRAMES, 6))
    expected[:, 3], expected[:, 4] = motion[:, 0] * METRES_PER_PX, -motion[:, 1] * METRES_PER_PX
    assert np.abs(found.numpy() - expected)[:, 3:].max() < TOLERANCE_PX * METRES_PER_PX
    assert found[:, :3].abs().max() < 2e-3


def test_a_turn_in_the_picture_is_a_turn_about_the_depth_axis() -> None:
    """Clockwise on the screen is negative about the axis out of the face; the centre stays."""
    steps = np.arange(N_FRAMES) - REFERENCE
    motion = np.stack([0 * steps, 0 * steps, 0.01 * steps], 1)

    found = track(128, motion).numpy()

    assert np.abs(found[:, 2] + motion[:, 2]).max() < 2e-3
    assert np.abs(found[:, 3:5]).max() < 0.1 * METRES_PER_PX
    assert 0.0 == np.abs(found[:, [0, 1, 5]]).max()


def test_without_a_torso_nothing_moves() -> None:
    """A crop that ends at the chin has no torso to follow."""
    view = TorsoView(torch.zeros(2), METRES_PER_PX)
    motion = np.zeros((N_FRAMES, 3))

    found = track_torso(
        moving_cloth(64, motion), np.zeros((64, 64), np.bool_), N_FRAMES, REFERENCE, view
    )

    assert torch.equal(torch.zeros(N_FRAMES, 6), found)
