"""Mouth measures made of landmarks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared import landmarks as lm

F32 = NDArray[np.float32]


def make_face(opening_px: float, eye_distance_px: float = 100.0) -> F32:
    """A face with only eyes, chin and inner lips in place. [478, 3]"""
    face = np.zeros((lm.N_LANDMARKS, 3), np.float32)
    face[lm.EYE_CORNERS[0], :2] = (50, 100)
    face[lm.EYE_CORNERS[3], :2] = (50 + eye_distance_px, 100)
    face[lm.NOSE_ROOT, :2] = (100, 100)
    face[lm.CHIN, :2] = (100, 250)
    for place, (upper, lower) in enumerate(lm.INNER_LIP_PAIRS):
        face[upper, :2] = (80 + 5 * place, 200)
        face[lower, :2] = (80 + 5 * place, 200 + opening_px)
    return face


def turned(face: F32, degrees: float) -> F32:
    """The face turned in the picture."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([face[:, :2] @ turn.T, face[:, 2:]], axis=1).astype(np.float32)


def test_the_forty_lip_landmarks_are_distinct() -> None:
    """Twenty outer and twenty inner ones, none twice."""
    assert 40 == len(set(lm.LIPS))


def test_inner_pairs_are_inner_landmarks() -> None:
    """Each partner is one of the inner lips, each but the corners once."""
    paired = [index for pair in lm.INNER_LIP_PAIRS for index in pair]

    assert set(lm.INNER_LIPS) - {78, 308} == set(paired)
    assert 18 == len(paired)


def test_opening_is_relative_to_the_eyes() -> None:
    """Twice the picture gives the same opening."""
    assert 0.2 == pytest.approx(float(lm.mouth_opening(make_face(20.0))))
    assert 0.2 == pytest.approx(float(lm.mouth_opening(2 * make_face(20.0))))


def test_opening_of_several_frames_keeps_their_shape() -> None:
    """Batches give one figure per face."""
    faces = np.stack([make_face(0.0), make_face(10.0)])

    assert [0.0, pytest.approx(0.1)] == lm.mouth_opening(faces).tolist()


@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0])
def test_crossed_lips_are_found_in_any_orientation(degrees: float) -> None:
    """An upper lip below its partner counts along the face's own axis."""
    assert lm.is_lip_crossed(turned(make_face(-5.0), degrees))
    assert not lm.is_lip_crossed(turned(make_face(5.0), degrees))


def test_touching_lips_are_not_crossed() -> None:
    """Noise below a hundredth of the eyes' distance is allowed."""
    assert not lm.is_lip_crossed(make_face(-0.9))
