"""Likeness of sounds: a proper kernel that knows time and level."""

import numpy as np
import pytest

from services.audio2motion.sound_kernel import describe_sound, likeness, sound_windows
from shared.speech_spectrum import ROWS_PER_SECOND
from tests.spoken_dataset import make_opening, make_speech

TIMES = np.arange(5, 70) / 25


@pytest.fixture(scope="module")
def rows() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Three seconds of the made-up speech."""
    return describe_sound(make_speech(make_opening(75)))


def test_every_sound_is_most_like_itself(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    """The diagonal is the largest of each row, and the matrix symmetric."""
    windows = sound_windows(rows, TIMES)

    alike = likeness(windows, windows)

    assert np.array_equal(np.arange(len(TIMES)), alike.argmax(axis=1))
    assert np.allclose(alike, alike.T)


def test_likeness_is_a_kernel(rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    """No negative eigenvalue but for rounding."""
    windows = sound_windows(rows, TIMES)

    assert np.linalg.eigvalsh(likeness(windows, windows)).min() > -1e-6


def test_windows_move_with_time(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    """The window of a moment 40 ms later is the same, two steps of 20 ms on."""
    now, later = sound_windows(rows, np.array([1.0, 1.04]))

    assert np.allclose(now[2:], later[:-2], atol=1e-5)


def test_times_beyond_the_sound_hear_its_ends(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    """Long before and long after, the first and the last row are heard."""
    before, after = sound_windows(rows, np.array([-9.0, len(rows) / ROWS_PER_SECOND + 9.0]))

    assert np.allclose(rows[0], before)
    assert np.allclose(rows[-1], after)
