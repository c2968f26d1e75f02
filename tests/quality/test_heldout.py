"""The bars on the seconds of real captures that no training saw."""

import pytest

from shared.contracts.scores import Score
from tests.quality.conftest import Run

MAX_RUN_SECONDS = 15 * 60


def _score(run: Run, name: str) -> Score:
    score = run.result.scores["spoken"].scores[name]
    assert score.value is not None, score.unavailable
    return score


def _lip_share(run: Run) -> float:
    lmd = _score(run, "lmd")
    return (lmd.value or 0.0) / lmd.baselines["mean_mouth"]


def test_may_looks_as_good_as_it_once_did(may: Run) -> None:
    """Committed thresholds close to what is reached."""
    assert (_score(may, "psnr").value or 0) > 29.6
    assert (_score(may, "ssim").value or 0) > 0.885


@pytest.mark.xfail(reason="missed by 1.3 dB and 0.04, see ARCHITECTURE.md: What keeps May back")
def test_may_looks_better_than_the_best_ten_second_figures(may: Run) -> None:
    """The sources reach 31.07 dB and 0.927 with a GPU."""
    assert (_score(may, "psnr").value or 0) > 31.07
    assert (_score(may, "ssim").value or 0) > 0.927


def test_may_s_lips_follow_the_sound(may: Run) -> None:
    """Clearly better than the mean mouth, and in time."""
    opening = _score(may, "opening_corr")

    assert _lip_share(may) <= 0.9
    assert (opening.value or 0) >= 0.5
    assert abs(opening.details["lag_frames"]) <= 1


def test_may_takes_a_quarter_of_an_hour_at_most(may: Run) -> None:
    """All steps together, on two cores."""
    assert sum(may.result.seconds.values()) <= MAX_RUN_SECONDS


def test_obama_s_lips_follow_the_sound(obama: Run) -> None:
    """More speech to learn from, so a higher bar."""
    opening = _score(obama, "opening_corr")

    assert _lip_share(obama) <= 0.8
    assert (opening.value or 0) >= 0.65
    assert abs(opening.details["lag_frames"]) <= 1
