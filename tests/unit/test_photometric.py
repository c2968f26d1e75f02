"""Head pose refined on pictures of a made-up head whose poses are known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.preprocess.head_fit import HeadFit, landmarks_of
from services.preprocess.photometric import refine_photometrically
from shared.landmarks import RIGID
from shared.progress import silent
from tests.synthetic_head import Speaker, film, make_speaker

N_FRAMES, N_TRAIN = 30, 22
ALL_VALID = np.ones(N_FRAMES, dtype=np.bool_)


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    """The truth."""
    return make_speaker(N_FRAMES, N_TRAIN)


@pytest.fixture(scope="module")
def pictures(speaker: Speaker) -> list[NDArray[np.uint8]]:
    """The truth filmed."""
    return [film(speaker.fit, frame) for frame in range(N_FRAMES)]


@pytest.fixture(scope="module")
def jittery(speaker: Speaker) -> HeadFit:
    """The truth with the pose noise of a landmark tracker."""
    noise = torch.Generator().manual_seed(9)
    turn = 0.012 * torch.randn(N_FRAMES, 3, generator=noise)
    shift = 0.0008 * torch.randn(N_FRAMES, 3, generator=noise)
    fit = speaker.fit
    return fit._replace(rotation=fit.rotation + turn, translation=fit.translation + shift)


@pytest.fixture(scope="module")
def refined(jittery: HeadFit, pictures: list[NDArray[np.uint8]]) -> HeadFit:
    """The refined fit."""
    return refine_photometrically(jittery, pictures.__getitem__, N_TRAIN, ALL_VALID, silent)


def error_px(fit: HeadFit, speaker: Speaker) -> NDArray[np.float64]:
    """How far each frame has the rigid landmarks from the truth, common offset taken out. [T]"""
    rigid = list(RIGID)
    apart = (landmarks_of(fit) - landmarks_of(speaker.fit))[:, rigid, :2]
    apart -= apart[:N_TRAIN].mean(0)
    return np.asarray(np.linalg.norm(apart, axis=2).mean(1))


def test_pose_noise_falls_on_both_sides_of_the_split(
    jittery: HeadFit, refined: HeadFit, speaker: Speaker
) -> None:
    """Errors of 1.3 pixels fall below 0.4, on held-out frames too."""
    before, after = error_px(jittery, speaker), error_px(refined, speaker)

    assert before[:N_TRAIN].mean() > 1.0
    assert after[:N_TRAIN].mean() < 0.4
    assert after[N_TRAIN:].mean() < 0.5


def test_mouth_opening_survives(refined: HeadFit, speaker: Speaker) -> None:
    """The lips' gap is what it was, since expression is solved again under the new pose."""
    gaps = [
        np.linalg.norm(marks[:, 13, :2] - marks[:, 14, :2], axis=1)
        for marks in (landmarks_of(refined), landmarks_of(speaker.fit))
    ]

    assert np.abs(gaps[0] - gaps[1]).mean() < 0.5


def test_held_out_pictures_teach_nothing(
    jittery: HeadFit, refined: HeadFit, pictures: list[NDArray[np.uint8]]
) -> None:
    """Black held-out pictures leave shape and training poses as they were."""
    dark = [
        picture if frame < N_TRAIN else np.zeros_like(picture)
        for frame, picture in enumerate(pictures)
    ]

    other = refine_photometrically(jittery, dark.__getitem__, N_TRAIN, ALL_VALID, silent)

    assert torch.equal(refined.shape, other.shape)
    assert torch.equal(refined.rotation[:N_TRAIN], other.rotation[:N_TRAIN])
    assert torch.equal(refined.translation[:N_TRAIN], other.translation[:N_TRAIN])
    assert bool(torch.isfinite(other.rotation).all())


def test_rejected_frames_are_not_read(jittery: HeadFit, pictures: list[NDArray[np.uint8]]) -> None:
    """Only valid frames' pictures are asked for."""
    is_valid = ALL_VALID.copy()
    is_valid[[3, 25]] = False
    asked: list[int] = []

    def read(frame: int) -> NDArray[np.uint8]:
        asked.append(frame)
        return pictures[frame]

    refine_photometrically(jittery, read, N_TRAIN, is_valid, silent)

    assert set(np.flatnonzero(is_valid)) == set(asked)
