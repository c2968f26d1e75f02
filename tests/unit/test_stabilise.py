"""Rejected frames and the square crop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.stabilise import (
    choose_crops,
    fill_gaps,
    reject_frames,
    to_crop,
)
from shared import landmarks as lm

F32 = NDArray[np.float32]

HD = (1280, 720)


def make_face(height: float, centre: tuple[float, float]) -> F32:
    """An upright face: an oval outline, eyes on their line. [478, 3]"""
    rng = np.random.default_rng(0)
    face = np.zeros((lm.N_LANDMARKS, 3), np.float32)
    face[:, :2] = 0.2 * height * rng.uniform(-1, 1, (lm.N_LANDMARKS, 2))
    angles = np.linspace(0, 2 * np.pi, len(lm.FACE_OVAL), endpoint=False)
    oval = np.stack([0.4 * np.sin(angles), -0.5 * np.cos(angles)], axis=1)
    face[list(lm.FACE_OVAL), :2] = height * oval
    face[lm.EYE_CORNERS[0], :2] = (-0.25 * height, -0.1 * height)
    face[lm.EYE_CORNERS[3], :2] = (0.25 * height, -0.1 * height)
    return face + np.array([*centre, 0.0], np.float32)


def path(height: float, centres: list[tuple[float, float]]) -> F32:
    """A face along a path. [T, 478, 3]"""
    return np.stack([make_face(height, centre) for centre in centres])


def reasons(landmarks: F32, late_s: F32 | None = None) -> dict[int, str]:
    """Frame and first word of each rejection."""
    times = np.zeros(len(landmarks), np.float32) if late_s is None else late_s
    rejected = reject_frames(landmarks, times, HD)
    return {entry.frame: entry.reason.split(":")[0] for entry in rejected}


def test_good_frames_are_kept() -> None:
    """A face that moves a little is never rejected."""
    assert {} == reasons(path(200, [(600 + k, 300) for k in range(10)]))


def test_fast_movement_is_kept() -> None:
    """A quarter of the eyes' distance per frame, steadily, is movement."""
    assert {} == reasons(path(200, [(400 + 25 * k, 300) for k in range(10)]))


def test_each_rejection_names_its_reason() -> None:
    """Missing faces, gaps, faces out of view and jumps are told apart."""
    landmarks = path(200, [(600, 300)] * 20)
    landmarks[3] = np.nan
    landmarks[8] += np.array([80, 0, 0], np.float32)
    landmarks[12:15] = path(200, [(1270, 300)] * 3)
    late_s = np.zeros(20, np.float32)
    late_s[18] = -0.3

    found = reasons(landmarks, late_s)

    assert "no_face" == found[3]
    assert "face_jump" == found[8]
    assert "face_outside" == found[13]
    assert "gap" == found[18]
    assert set(found) <= {3, 8, 12, 13, 14, 18}


def test_a_face_of_the_wrong_size_is_a_jump() -> None:
    """A tracker that starts on a face may first find it a third too large."""
    landmarks = path(200, [(600, 300)] * 10)
    landmarks[4] = make_face(270, (600, 300))

    assert {4: "face_jump"} == reasons(landmarks)


def test_repeated_pictures_are_rejected_but_for_their_own_frame() -> None:
    """Of three frames that show the picture of 0.20 s, the one at 0.20 s is kept."""
    late_s = np.zeros(10, np.float32)
    late_s[[4, 6]] = (0.04, -0.04)

    assert {4: "repeat", 6: "repeat"} == reasons(path(200, [(600, 300)] * 10), late_s)


def test_resampling_from_30_fps_repeats_nothing() -> None:
    """Nearest pictures of a faster capture are all different."""
    ticks = np.arange(100) / 25
    late_s = (np.round(ticks * 29.97) / 29.97 - ticks).astype(np.float32)

    assert {} == reasons(path(200, [(600, 300)] * 100), late_s)


def test_gaps_are_filled_from_valid_neighbours() -> None:
    """A rejected frame lies between its neighbours."""
    landmarks = path(200, [(600, 300), (900, 300), (620, 300)])

    filled = fill_gaps(landmarks, np.array([True, False, True]), 3)

    assert make_face(200, (610, 300)) == pytest.approx(filled[1], abs=0.01)


def test_gaps_are_not_filled_across_the_split() -> None:
    """The last training frame takes nothing from held-out ones."""
    landmarks = path(200, [(600, 300), (900, 300), (620, 300), (620, 300)])

    filled = fill_gaps(landmarks, np.array([True, False, True, True]), 2)

    assert make_face(200, (600, 300)) == pytest.approx(filled[1], abs=0.01)


@pytest.mark.parametrize(("side", "height"), [(512, 292), (256, 156)])
def test_close_square_captures_are_taken_whole(side: int, height: float) -> None:
    """When the head fills a square capture the crop is the frame itself."""
    landmarks = path(height, [(side / 2, side / 2)] * 5)

    crops = choose_crops(landmarks, 5, (side, side), 1.0)

    assert (side, False) == (crops.size, crops.is_moving)
    assert [0.0, 0.0, float(side)] == crops.boxes[0].tolist()


def test_crop_shows_head_and_shoulders() -> None:
    """In HD the square is about three faces high, even, inside the frame, on the head."""
    landmarks = path(140, [(640, 300)] * 5)

    crops = choose_crops(landmarks, 5, HD, 1.0)

    left, top, side = crops.boxes[0]
    assert 140 * 2.8 < side < 140 * 3.4
    assert 0 == side % 2 == crops.size % 2
    assert left + side / 2 == pytest.approx(640, abs=2)
    assert top < 300 - 100
    assert top + side > 300 + 150


def test_large_crops_are_reduced_to_512() -> None:
    """A crop of 868 pixels is stored at 512, and landmarks shrink with it."""
    landmarks = path(280, [(640, 360)] * 5)

    crops = choose_crops(landmarks, 5, (1920, 1080), 1.0)
    cropped = to_crop(landmarks, crops)

    assert 512 == crops.size
    left, top, side = crops.boxes[0]
    chin = landmarks[0, lm.CHIN]
    expected = (chin - [left, top, 0]) * 512 / side
    assert expected == pytest.approx(cropped[0, lm.CHIN], abs=0.01)


def test_scale_widens_the_crop() -> None:
    """Twice the scale is twice the side, while the frame allows it."""
    landmarks = path(100, [(640, 300)] * 5)

    narrow = choose_crops(landmarks, 5, HD, 1.0).boxes[0, 2]
    wide = choose_crops(landmarks, 5, HD, 2.0).boxes[0, 2]

    assert 2.0 == pytest.approx(wide / narrow, abs=0.02)


def test_a_nodding_head_keeps_the_crop_still() -> None:
    """Movement inside the crop does not move it."""
    centres = [(640 + 30 * np.sin(k / 5), 300 + 20 * np.cos(k / 4)) for k in range(100)]

    crops = choose_crops(path(140, centres), 100, HD, 1.0)

    assert not crops.is_moving
    assert 1 == len(np.unique(crops.boxes, axis=0))


def test_a_close_up_in_a_tall_frame_keeps_the_crop_still() -> None:
    """A head too large for the frame's width does not make the crop move."""
    centres = [(360 + 10 * np.sin(k / 5), 700 + 20 * np.cos(k / 4)) for k in range(100)]

    crops = choose_crops(path(414, centres), 100, (720, 1280), 1.0)

    assert not crops.is_moving
    assert crops.boxes[0, 2] == 720
    assert crops.boxes[0, 1] + 360 == pytest.approx(700, abs=25)


def test_a_walking_head_is_followed_smoothly() -> None:
    """Across the frame the crop keeps the head inside, without jerks."""
    centres = [(250 + 5.0 * k, 300.0) for k in range(150)]
    landmarks = path(140, centres)

    crops = choose_crops(landmarks, 150, HD, 1.0)

    assert crops.is_moving
    outline = to_crop(landmarks, crops)[:, lm.FACE_OVAL, :2]
    assert (outline > 0).all()
    assert (outline < crops.size).all()
    assert np.abs(np.diff(crops.boxes[:, 0])).max() <= 8


def test_held_out_frames_do_not_move_the_crop() -> None:
    """The crop is the same whatever happens after the split."""
    training = [(640.0, 300.0)] * 50
    quiet = choose_crops(path(140, training + [(640, 300)] * 20), 50, HD, 1.0)
    wild = choose_crops(path(140, training + [(300, 500)] * 20), 50, HD, 1.0)

    assert np.array_equal(quiet.boxes, wild.boxes)
