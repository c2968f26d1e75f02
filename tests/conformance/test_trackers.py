"""Every tracker finds the same face in the same place, again and again, and says nothing."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from shared import landmarks as lm
from shared.plugins import load_plugin, plugin_names
from shared.tracker import Tracker

U8 = NDArray[np.uint8]

LEFT_PUPIL, RIGHT_PUPIL = (246.5, 103.7), (203.8, 100.8)
"""Of the photograph, by eye, in pixels."""


def portrait(shift: int = 0) -> U8:
    """NASA's public-domain portrait of Eileen Collins, moved to the right. [H, W, 3]"""
    picture = np.asarray(data.astronaut(), dtype=np.uint8)
    return np.ascontiguousarray(np.roll(picture, shift, axis=1))


@pytest.fixture(params=plugin_names("shared.trackers"))
def tracker(request: pytest.FixtureRequest) -> Tracker:
    """Each tracker in turn."""
    return cast("Tracker", load_plugin("shared.trackers", request.param))


def test_landmarks_lie_on_the_face(tracker: Tracker) -> None:
    """Irises are on the pupils, lips below the nose, the left eye on the picture's right."""
    (found,) = tracker.track_landmarks([portrait()])

    assert found is not None
    assert (lm.N_LANDMARKS, 3) == found.shape
    assert np.float32 == found.dtype
    assert found[lm.LEFT_IRIS[0], :2] == pytest.approx(LEFT_PUPIL, abs=3)
    assert found[lm.RIGHT_IRIS[0], :2] == pytest.approx(RIGHT_PUPIL, abs=3)
    assert found[lm.INNER_LIP_PAIRS[4][0], 1] > found[lm.NOSE_TIP, 1]


def test_depth_is_smaller_towards_the_camera(tracker: Tracker) -> None:
    """The tip of the nose is nearer than the temples, in pixels like x."""
    (found,) = tracker.track_landmarks([portrait()])

    assert found is not None
    depth = found[[234, 454], 2].mean() - found[lm.NOSE_TIP, 2]
    width = np.linalg.norm(found[234, :2] - found[454, :2])
    assert 0.2 * width < depth < 1.2 * width


def test_landmarks_follow_the_face(tracker: Tracker) -> None:
    """A face that moves by 30 pixels is found 30 pixels further."""
    still, moved = tracker.track_landmarks([portrait(), portrait(30)])

    assert still is not None
    assert moved is not None
    step = (moved - still)[:, :2].mean(axis=0)
    assert step == pytest.approx([30, 0], abs=2)


def test_frames_without_a_face_give_none(tracker: Tracker) -> None:
    """A face that is away for a frame is found again."""
    grey = np.full((512, 512, 3), 127, np.uint8)

    found = list(tracker.track_landmarks([portrait(), grey, portrait()]))

    assert [True, False, True] == [landmarks is not None for landmarks in found]


def test_a_small_face_in_a_large_frame_is_found(tracker: Tracker) -> None:
    """A head far from an HD camera still has landmarks."""
    frame = np.full((1080, 1920, 3), 90, np.uint8)
    frame[300:812, 900:1412] = portrait()

    (found,) = tracker.track_landmarks([frame])

    assert found is not None
    expected = (LEFT_PUPIL[0] + 900, LEFT_PUPIL[1] + 300)
    assert found[lm.LEFT_IRIS[0], :2] == pytest.approx(expected, abs=8)


def test_all_faces_are_detected_the_largest_first(tracker: Tracker) -> None:
    """Two portraits of different size give two boxes, in order, around the faces."""
    head = portrait()[20:220, 120:320]
    frame = np.full((420, 660, 3), 90, np.uint8)
    frame[10:410, 10:410] = head.repeat(2, 0).repeat(2, 1)
    frame[100:300, 440:640] = head

    (boxes,) = tracker.detect_faces([frame])

    assert 2 == len(boxes)
    assert boxes[0].width > boxes[1].width
    for box, left, top, scale in ((boxes[0], 10, 10, 2), (boxes[1], 440, 100, 1)):
        nose = (left + scale * 104, top + scale * 103)
        assert box.left < nose[0] < box.left + box.width
        assert box.top < nose[1] < box.top + box.height


def test_no_face_is_an_empty_list(tracker: Tracker) -> None:
    """Nothing is detected in grey."""
    assert [[]] == list(tracker.detect_faces([np.full((240, 320, 3), 127, np.uint8)]))


def test_equal_frames_give_equal_landmarks(tracker: Tracker) -> None:
    """Two runs over the same frames agree to the bit."""
    frames = [portrait(shift) for shift in (0, 5, 10, 15)]

    first, second = (
        np.stack([found for found in tracker.track_landmarks(frames) if found is not None])
        for _ in range(2)
    )

    assert np.array_equal(first, second)
    assert len(frames) == len(first)


def test_nothing_is_written_to_the_terminal(
    tracker: Tracker, capfd: pytest.CaptureFixture[str]
) -> None:
    """Native libraries keep their start-up notes to themselves."""
    list(tracker.track_landmarks([portrait()]))
    list(tracker.detect_faces([portrait()]))

    assert ("", "") == tuple(capfd.readouterr())
