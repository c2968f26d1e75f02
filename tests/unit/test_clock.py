"""A regular clock from irregular times."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.media.clock import resample


def chosen(times: list[float], fps: float = 25.0, announced_end_s: float = 0.0) -> list[int]:
    """Numbers of the chosen frames."""
    frames = ((time, number) for number, time in enumerate(times))
    return [number for _, number in resample(frames, fps, announced_end_s)]


def test_nothing_gives_nothing() -> None:
    """No frame, no tick."""
    assert [] == chosen([])


def test_one_frame_stands_for_one_tick() -> None:
    """Its period is not known, so it is the clock's."""
    assert [0] == chosen([0.0])


def test_frames_that_go_back_in_time_are_left_out() -> None:
    """A broken time stamp does not break the clock."""
    assert [0, 1, 3] == chosen([0.0, 0.04, 0.02, 0.08])


def test_last_frame_of_a_variable_rate_stands_to_the_announced_end() -> None:
    """But no longer than the longest gap seen."""
    assert [0, 1, 2, 2, 3, 3] == chosen([0.0, 0.04, 0.08, 0.16], announced_end_s=0.24)
    assert [0, 1, 2, 2, 3, 3] == chosen([0.0, 0.04, 0.08, 0.16], announced_end_s=9.0)


def test_sound_that_outlasts_a_constant_rate_adds_no_frame() -> None:
    """Sound is usually some milliseconds longer than the pictures."""
    assert 10 == len(chosen([k / 25 for k in range(10)], announced_end_s=0.465))


@given(
    gaps=st.lists(st.floats(min_value=0.001, max_value=0.5), min_size=1, max_size=60),
    fps=st.sampled_from([12.5, 25.0, 30.0]),
)
def test_every_tick_has_the_nearest_frame(gaps: list[float], fps: float) -> None:
    """Whatever the gaps, no other frame is nearer, and frames never go back."""
    times = [sum(gaps[:count]) for count in range(len(gaps) + 1)]

    found = chosen(times, fps)

    for tick, number in enumerate(found):
        nearest = min(abs(time - tick / fps) for time in times)
        assert abs(times[number] - tick / fps) == pytest.approx(nearest, abs=1e-9)
    assert all(later >= earlier for earlier, later in pairwise(found))
    assert len(found) >= int(times[-1] * fps)
