"""Errors of a motion on the subject's mesh."""

import numpy as np
import pytest

from services.audio2motion.heldout_report import Report, judge_motion
from services.audio2motion.tracks import Tracks, frames_of, motion_tracks
from shared.dataset_reader import TrackedDataset, open_dataset
from tests.spoken_dataset import write_dataset


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> TrackedDataset:
    """The made-up speaker."""
    return open_dataset(write_dataset(tmp_path_factory.mktemp("capture") / "dataset"))


def judge(tracked: TrackedDataset, spoken: Tracks) -> Report:
    """Against the frames from 100 to 200."""
    tracks = motion_tracks(tracked.tracking)
    truth = frames_of(tracks, slice(100, 200))
    shown = frames_of(tracks, slice(0, 100))
    return judge_motion(tracked, spoken, truth, shown, np.ones(100, np.bool_))


def test_the_truth_has_no_error(tracked: TrackedDataset) -> None:
    """And its full variance, in time."""
    report = judge(tracked, frames_of(motion_tracks(tracked.tracking), slice(100, 200)))

    assert (0.0, 0.0, 0, 100) == (
        report["lve_mm2"],
        report["lip_distance_mm"],
        report["lag_frames"],
        report["n_frames"],
    )
    assert 1.0 == pytest.approx(report["opening_corr"])
    assert report["upper_variance_mm2"] == report["upper_variance_tracked_mm2"]
    assert isinstance(report["mean_mouth_mm"], float)
    assert report["mean_mouth_mm"] > 0


def test_a_late_mouth_is_found_late(tracked: TrackedDataset) -> None:
    """By two frames, though the head turns meanwhile."""
    late = frames_of(motion_tracks(tracked.tracking), slice(98, 198))

    assert 2 == judge(tracked, late)["lag_frames"]


def test_the_worst_lip_landmark_counts(tracked: TrackedDataset) -> None:
    """A jaw turned by 0.1 rad moves the lower lip, a decimetre before it, by a centimetre."""
    tracks = frames_of(motion_tracks(tracked.tracking), slice(100, 200))
    opened = tracks | {"jaw_pose": tracks["jaw_pose"] + np.array([0.1, 0, 0], np.float32)}

    assert 100 == pytest.approx(judge(tracked, opened)["lve_mm2"], rel=0.1)


def test_a_still_mouth_has_no_lag(tracked: TrackedDataset) -> None:
    """None rather than a number that means nothing."""
    tracks = frames_of(motion_tracks(tracked.tracking), slice(100, 200))
    still = {name: np.repeat(track[:1], 100, axis=0) for name, track in tracks.items()}

    report = judge(tracked, still)

    assert (None, None) == (report["opening_corr"], report["lag_frames"])
    assert 0 == report["upper_variance_mm2"]
