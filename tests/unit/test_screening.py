"""Captures without one clear face are refused with the right code, after samples only."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.screening import check_faces, check_split, screen_capture
from shared.errors import InvalidInput
from shared.tracker import FaceBox
from tests.media_files import write_numbered

U8 = NDArray[np.uint8]

TIMES = [0.0, 1.0, 2.0, 3.0]


def face(height: float, score: float = 0.9) -> FaceBox:
    """A square face."""
    return FaceBox(left=10.0, top=10.0, width=height, height=height, score=score)


class CountingTracker:
    """Finds one good face in every frame and counts the frames."""

    n_seen = 0

    def detect_faces(self, frames: Iterable[U8]) -> Iterator[list[FaceBox]]:
        """One face per frame."""
        for _ in frames:
            self.n_seen += 1
            yield [face(200)]

    def track_landmarks(self, frames: Iterable[U8]) -> Iterator[None]:
        """Not what these tests look at."""
        for _ in frames:
            yield None


def refusal(faces: list[list[FaceBox]]) -> InvalidInput:
    """What ``check_faces`` raises."""
    with pytest.raises(InvalidInput) as refused:
        check_faces(TIMES, faces)
    return refused.value


def test_one_clear_face_is_accepted() -> None:
    """A face of 200 pixels in every sample is what is asked for."""
    check_faces(TIMES, [[face(200)]] * 4)


def test_a_face_missed_now_and_then_is_accepted() -> None:
    """Half of the samples are enough."""
    check_faces(TIMES, [[face(200)], [], [face(200)], []])


def test_no_face_says_in_how_many_samples() -> None:
    """The message holds the figures."""
    error = refusal([[], [], [face(200)], []])

    assert "no_face" == error.code
    assert "1 of 4" in error.message


def test_small_doubtful_detections_are_no_faces() -> None:
    """Patterns in a background that look a little like a face do not count."""
    assert "no_face" == refusal([[face(30, score=0.6)]] * 4).code


def test_small_sure_faces_are_too_small() -> None:
    """The message gives the size found and the size needed."""
    error = refusal([[face(40)]] * 4)

    assert "face_too_small" == error.code
    assert "42 px" in error.message
    assert "80 px" in error.message


def test_two_faces_are_refused_with_a_time_and_advice() -> None:
    """The first crowded sample's time is named."""
    error = refusal([[face(200)], *([[face(200), face(180)]] * 3)])

    assert "several_faces" == error.code
    assert "1.00 s" in error.message
    assert "crop" in error.message


def test_a_bystander_is_no_second_face() -> None:
    """A much smaller face in the background is left out of account."""
    check_faces(TIMES, [[face(200), face(60)]] * 4)


def test_only_samples_are_looked_at(tmp_path: Path) -> None:
    """A capture of 100 frames costs sixteen detections."""
    path = write_numbered(tmp_path / "a.mp4", 50, fps=12.5)
    tracker = CountingTracker()

    info = screen_capture(path, tracker)

    assert 16 == tracker.n_seen
    assert 4.0 == pytest.approx(info.duration_s, abs=0.1)


def test_short_captures_are_refused(tmp_path: Path) -> None:
    """Less than three seconds are too short, before any face is looked for."""
    tracker = CountingTracker()
    with pytest.raises(InvalidInput) as refused:
        screen_capture(write_numbered(tmp_path / "a.mp4", 50), tracker)

    assert "too_short" == refused.value.code
    assert 0 == tracker.n_seen


def test_split_keeps_the_last_frames() -> None:
    """82 of 331 frames held out leave the first 249."""
    assert 249 == check_split(331, 82)


def test_split_leaves_enough_to_learn_from() -> None:
    """Holding out nearly all is refused."""
    with pytest.raises(InvalidInput) as refused:
        check_split(331, 300)

    assert "holdout_too_long" == refused.value.code
