"""Which frames a report shows, and how they are cut."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.evaluator.face_crop import Square, cut_square, face_square, mid_square
from services.evaluator.strips import CELL_PX, Cell, Strip, fetch, speech_cells, worst_second


def test_peaks_and_pauses_are_found_and_apart() -> None:
    """Five syllables and silence between them."""
    t = np.arange(250) / 25
    activity = np.maximum(0, np.sin(2 * np.pi * t / 2)) ** 2  # a peak every two seconds

    cells = speech_cells(activity, 25)

    peaks = [cell.frame / 25 for cell in cells if cell.label == "peak"]
    pauses = [cell.frame for cell in cells if cell.label == "pause"]
    assert [0.5, 2.5, 4.5, 6.5, 8.5] == pytest.approx(peaks, abs=0.05)
    assert 3 == len(pauses)
    assert 0.0 == pytest.approx(activity[pauses].max())
    assert min(abs(a - 25 * b) for a in pauses for b in peaks) >= 4
    assert sorted(cells) == cells


@pytest.mark.parametrize("n_frames", [1, 2, 10])
def test_a_short_video_has_as_many_cells_as_fit(n_frames: int) -> None:
    """No frame is invented and none is shown twice."""
    cells = speech_cells(np.arange(n_frames, dtype=float), 25)

    frames = [cell.frame for cell in cells]
    assert len(set(frames)) == len(frames)
    assert set(frames) <= set(range(n_frames))
    assert frames


def test_worst_second_has_the_lowest_mean() -> None:
    """A dip of half a second lies inside of it."""
    psnr = np.full(200, 35.0)
    psnr[100:112] = 25.0

    cells = worst_second(psnr, 25, unit="dB", higher_is_better=True)

    assert 7 == len(cells)
    assert cells[0].frame <= 100
    assert cells[-1].frame >= 111
    assert 24 == cells[-1].frame - cells[0].frame


def test_worst_second_of_what_shall_be_low_has_the_highest_mean() -> None:
    """Jitter, with frames that have none; labels carry the unit."""
    jitter = np.full(200, 0.5)
    jitter[[0, 199]] = np.nan
    jitter[150:160] = 4.0

    cells = worst_second(jitter, 25, unit="px", higher_is_better=False)

    assert cells[0].frame <= 150
    assert cells[-1].frame >= 159
    assert "4.0 px" in {cell.label for cell in cells}


@pytest.mark.parametrize("values", [np.zeros(0), np.full(30, np.nan)])
def test_no_comparison_has_no_worst_second(values: NDArray[np.float64]) -> None:
    """Without a reference there is nothing to show."""
    assert [] == worst_second(values, 25, unit="dB", higher_is_better=True)


def test_fetched_pictures_are_the_chosen_frames() -> None:
    """Frames are told apart by their gray."""
    video = [np.full((20, 30, 3), i, np.uint8) for i in range(9)]
    reference = [np.full((20, 30, 3), 100 + i, np.uint8) for i in range(9)]
    strip = Strip([Cell(2, "a"), Cell(7, "b")], mid_square(30, 20), mid_square(30, 20))

    found = fetch({"s": strip}, zip(video, reference, strict=True))["s"]

    assert [2, 7] == [int(picture.mean()) for picture in found.video]
    assert [102, 107] == [int(picture.mean()) for picture in found.reference]
    assert (CELL_PX, CELL_PX, 3) == found.video[0].shape


def test_fetch_without_reference_leaves_it_empty() -> None:
    """Only the video's pictures are there."""
    strip = Strip([Cell(0, "a")], mid_square(4, 4), None)

    found = fetch({"s": strip}, [(np.zeros((4, 4, 3), np.uint8), None)])["s"]

    assert 1 == len(found.video)
    assert [] == found.reference


def test_face_square_is_about_the_face_and_stands_still() -> None:
    """Frames without a face do not count."""
    landmarks = np.zeros((3, 478, 3), np.float32)
    landmarks[:, ::2, 0] = 100
    landmarks[:, ::4, 1] = 60
    landmarks[1] = np.nan

    square = face_square(landmarks, 1.5)

    assert Square(-25.0, -45.0, 150.0) == square
    assert face_square(landmarks[1:2], 1.5) is None


def test_cut_beyond_the_frame_is_black() -> None:
    """A face at the border keeps its scale."""
    frame = np.full((10, 10, 3), 200, np.uint8)

    cut = cut_square(frame, Square(5, 0, 10), 100)

    assert 200 == cut[50, 20, 0]
    assert 0 == cut[50, 80, 0]
