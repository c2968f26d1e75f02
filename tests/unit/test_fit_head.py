"""Fitting the head to landmarks of a made-up person whose parameters are known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from services.preprocess.fit_head import fit_head
from services.preprocess.head_fit import HeadFit, landmarks_of
from shared.errors import InvalidInput
from shared.head_models import open_head
from shared.landmarks import LIPS
from shared.open_head_parts.canonical_face import INTER_OCULAR_M
from tests.synthetic_head import SIZE, Speaker, make_speaker, noisy_landmarks

N_FRAMES, N_TRAIN = 48, 36
NOISE_PX = 0.3
ALL_VALID = np.ones(N_FRAMES, dtype=np.bool_)
HEAD = open_head.mean_head()
"""Of the mean person."""


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    """The truth."""
    return make_speaker(N_FRAMES, N_TRAIN)


@pytest.fixture(scope="module")
def landmarks(speaker: Speaker) -> NDArray[np.float32]:
    """What the tracker saw."""
    return noisy_landmarks(speaker, NOISE_PX)


@pytest.fixture(scope="module")
def fit(landmarks: NDArray[np.float32]) -> HeadFit:
    """The fit."""
    return fit_head(landmarks, ALL_VALID, N_TRAIN, SIZE, HEAD)


def errors_px(fit: HeadFit, landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance of each landmark from the fit's. [T, 478]"""
    apart = landmarks_of(fit)[..., :2] - landmarks[..., :2]
    return np.asarray(np.linalg.norm(apart, axis=2))


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    """Pearson's, of two series."""
    return float(np.corrcoef(first.numpy(), second.numpy())[0, 1])


def test_landmarks_are_explained_on_both_sides_of_the_split(
    fit: HeadFit, landmarks: NDArray[np.float32]
) -> None:
    """Median error stays near the noise, lips included, on frames the person was not fitted on."""
    errors = errors_px(fit, landmarks)

    assert np.median(errors[:N_TRAIN]) < 2.0 * NOISE_PX
    assert np.median(errors[N_TRAIN:]) < 2.0 * NOISE_PX
    assert np.median(errors[N_TRAIN:, list(LIPS)]) < 2.0 * NOISE_PX


def test_head_turns_as_it_did(fit: HeadFit, speaker: Speaker) -> None:
    """Turns between frames are found to a degree; the mean pose is the model's own affair."""
    found = Rotation.from_rotvec(fit.rotation.numpy())
    true = Rotation.from_rotvec(speaker.fit.rotation.numpy())

    offset = (true * found.inv()).mean()
    error = (true * (offset * found).inv()).magnitude()

    assert np.degrees(np.median(error)) < 1.0


def test_jaw_and_gaze_follow_the_truth(fit: HeadFit, speaker: Speaker) -> None:
    """Jaw opening and both eyes' directions correlate with what was filmed."""
    assert correlation(fit.jaw_pose[:, 0], speaker.fit.jaw_pose[:, 0]) > 0.9
    for axis in (0, 1, 3, 4):
        assert correlation(fit.eyes_pose[:, axis], speaker.fit.eyes_pose[:, axis]) > 0.8


def test_coefficients_stay_within_five_sigma(fit: HeadFit) -> None:
    """Neither shape nor expression leaves the range of people."""
    assert float(fit.shape.abs().max()) <= 5
    assert float(fit.expr.abs().max()) <= 5


def test_scale_is_metric_and_the_head_is_at_the_origin(fit: HeadFit) -> None:
    """Eyes are an adult's apart; the mean training depth is the camera's distance."""
    joints = fit.head_model.joints

    assert float((joints[3] - joints[4]).norm()) == pytest.approx(INTER_OCULAR_M, abs=1e-5)
    assert abs(float(fit.translation[:N_TRAIN, 2].mean())) < 1e-4
    assert float(fit.viewmat[2, 3]) > 0.3


def test_held_out_frames_teach_nothing(fit: HeadFit, landmarks: NDArray[np.float32]) -> None:
    """Other held-out landmarks leave person, camera and training frames as they were."""
    changed = landmarks.copy()
    changed[N_TRAIN:] = changed[N_TRAIN:][::-1] + 7

    other = fit_head(changed, ALL_VALID, N_TRAIN, SIZE, HEAD)

    assert torch.equal(fit.shape, other.shape)
    assert torch.equal(fit.Ks, other.Ks)
    assert torch.equal(fit.head_model.expr_basis, other.head_model.expr_basis)
    for name in ("expr", "rotation", "jaw_pose", "eyes_pose", "translation"):
        assert torch.equal(getattr(fit, name)[:N_TRAIN], getattr(other, name)[:N_TRAIN]), name


def test_equal_input_gives_equal_fit(fit: HeadFit, landmarks: NDArray[np.float32]) -> None:
    """Nothing random, nothing that depends on the run."""
    again = fit_head(landmarks, ALL_VALID, N_TRAIN, SIZE, HEAD)

    for name in HeadFit._fields[1:]:
        assert torch.equal(getattr(fit, name), getattr(again, name)), name


def test_rejected_frames_are_bridged(fit: HeadFit, landmarks: NDArray[np.float32]) -> None:
    """Nonsense in a rejected frame is not looked at; its pose lies between its neighbours."""
    broken = landmarks.copy()
    broken[10] = 0
    is_valid = ALL_VALID.copy()
    is_valid[10] = False

    other = fit_head(broken, is_valid, N_TRAIN, SIZE, HEAD)

    assert bool(torch.isfinite(other.expr).all())
    assert float((other.rotation[10] - fit.rotation[10]).abs().max()) < 0.02


def test_too_few_training_frames_are_refused(landmarks: NDArray[np.float32]) -> None:
    """A person cannot be learnt from a handful of frames."""
    with pytest.raises(InvalidInput) as refusal:
        fit_head(landmarks, ALL_VALID, 5, SIZE, HEAD)

    assert "too_few_frames" == refusal.value.code
