"""The preprocess stage's own logic: order of steps, hand-corrected folders, refusals."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from services.preprocess.face_steps import _check_valid, sha256_of
from services.preprocess.options import STEPS, PrepareOptions, Step
from services.preprocess.prepare import prepare_dataset
from services.preprocess.stabilise import reject_frames
from services.preprocess.workspace import CaptureReport, Workspace, save_report
from shared.contracts.tracked_dataset import RejectedFrame
from shared.errors import InvalidInput, MissingModel
from shared.progress import silent
from tests.media_files import write_numbered


def refusal(capture: Path, options: PrepareOptions, out: Path) -> str:
    """Code of what ``prepare_dataset`` raises."""
    with pytest.raises(InvalidInput) as refused:
        prepare_dataset(capture, options, out, silent)
    return refused.value.code


def begin(out: Path, capture_sha256: str) -> None:
    """Leave what the first step leaves: 100 frames, 25 held out."""
    space = Workspace(out)
    space.work.mkdir(parents=True)
    report = CaptureReport(
        sha256=capture_sha256,
        width=64,
        height=48,
        start_s=0.0,
        n_frames=100,
        n_train=75,
        tracker="mediapipe_mesh",
        warnings={},
    )
    save_report(space, "track", report)


def test_all_steps_run_by_default() -> None:
    """From the first to the last."""
    assert STEPS == PrepareOptions().steps()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [("matte", "plate", ("matte", "plate")), ("sound", "write", ("sound", "write"))],
)
def test_some_steps_can_be_run(first: Step, last: Step, expected: tuple[Step, ...]) -> None:
    """Both ends are included."""
    assert expected == PrepareOptions(from_step=first, to_step=last).steps()


def test_steps_in_the_wrong_order_are_refused() -> None:
    """From after to is a mistake."""
    with pytest.raises(ValidationError):
        PrepareOptions(from_step="write", to_step="track")


def test_held_out_seconds_become_frames() -> None:
    """3.3 s at 25 fps are 82 frames (measures.md)."""
    assert 82 == PrepareOptions(holdout_seconds=3.3).n_held_out()


def test_text_file_is_unreadable(tmp_path: Path) -> None:
    """A capture that is no video ends in a code."""
    capture = tmp_path / "a.mp4"
    capture.write_text("hello", encoding="utf-8")

    assert "unreadable_media" == refusal(capture, PrepareOptions(), tmp_path / "out")


def test_video_without_a_face_is_refused(tmp_path: Path) -> None:
    """The real detector finds nobody in grey frames, and no manifest is left."""
    capture = write_numbered(tmp_path / "a.mp4", 50, fps=12.5)

    assert "no_face" == refusal(capture, PrepareOptions(), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_later_steps_need_the_earlier_ones(tmp_path: Path) -> None:
    """Starting in the middle of nothing says which step is missing."""
    capture = write_numbered(tmp_path / "a.mp4", 50)

    assert "missing_step" == refusal(capture, PrepareOptions(from_step="fit"), tmp_path / "out")


def test_another_capture_is_not_mixed_in(tmp_path: Path) -> None:
    """A folder begun with one file refuses another."""
    capture = write_numbered(tmp_path / "a.mp4", 50)
    begin(tmp_path / "out", "0" * 64)

    options = PrepareOptions(from_step="matte")

    assert "capture_changed" == refusal(capture, options, tmp_path / "out")


def test_another_split_is_not_mixed_in(tmp_path: Path) -> None:
    """A folder with one second held out refuses to go on with two; unsaid, it goes on with its."""
    capture = write_numbered(tmp_path / "a.mp4", 50)
    begin(tmp_path / "out", sha256_of(capture))

    changed = PrepareOptions(from_step="matte", holdout_seconds=2.0)
    same = PrepareOptions(from_step="matte", holdout_seconds=1.0)

    assert "split_changed" == refusal(capture, changed, tmp_path / "out")
    assert "missing_step" == refusal(capture, same, tmp_path / "out")
    assert "missing_step" == refusal(capture, PrepareOptions(from_step="matte"), tmp_path / "out")


def test_too_few_pictures_a_second_are_refused() -> None:
    """With ten a second most frames would repeat others; fifteen will do."""

    def repeats(pictures_per_second: int) -> list[RejectedFrame]:
        times = np.arange(100) / 25
        late_s = np.round(times * pictures_per_second) / pictures_per_second - times
        landmarks = np.zeros((100, 478, 3), np.float32)
        return reject_frames(landmarks, late_s.astype(np.float32), (64, 48))

    def check(rejected: list[RejectedFrame]) -> None:
        is_valid = np.ones(100, dtype=np.bool_)
        is_valid[[entry.frame for entry in rejected]] = False
        _check_valid(is_valid, rejected, 80)

    check(repeats(15))
    with pytest.raises(InvalidInput) as refused:
        check(repeats(10))
    assert "frame_rate_too_low" == refused.value.code


def test_a_face_lost_for_long_is_refused() -> None:
    """Each side of the split needs half of its frames."""
    is_valid = np.ones(100, dtype=np.bool_)
    is_valid[85:] = False
    rejected = [RejectedFrame(frame=frame, reason="no_face: none") for frame in range(85, 100)]

    with pytest.raises(InvalidInput) as refused:
        _check_valid(is_valid, rejected, 80)
    assert "too_many_rejected" == refused.value.code
    assert "15 of 20 held-out" in refused.value.message


def test_a_missing_head_model_file_is_told_before_any_work(tmp_path: Path) -> None:
    """Nothing is written, and the capture is not even looked at."""
    options = PrepareOptions(head_model="ict_face")
    out = tmp_path / "dataset"

    with pytest.raises(MissingModel) as refused:
        prepare_dataset(tmp_path / "nowhere.mp4", options, out, silent, tmp_path)

    assert "missing_model_file" == refused.value.code
    assert not out.exists()
