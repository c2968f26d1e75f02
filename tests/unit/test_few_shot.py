"""The few-shot experiment: its pieces, and its page."""

import re
from pathlib import Path

import numpy as np
import pytest

from services.embedded.cli import run_command
from services.embedded.few_shot import Trial, cut_piece
from services.embedded.few_shot_report import curves, worst_subject, write_few_shot_report
from services.renderer.encode import Encoding, Speech, VideoWriter
from shared.contracts.scores import Score
from shared.media.audio import SAMPLE_RATE, read_audio, write_wav
from shared.media.video import read_frames


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Two seconds that grow brighter, silent first and loud in the second half."""
    wave = tmp_path / "sound.wav"
    loud = np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * 0.3) * 0.5
    write_wav(wave, np.concatenate([np.zeros(SAMPLE_RATE, np.float32), loud]))
    path = tmp_path / "capture.mp4"
    encoding = Encoding(64, 64, 25, "ultrafast", 4, has_alpha=False)
    with VideoWriter(path, encoding, Speech(wave, 0.0)) as video:
        for number in range(50):
            video.write(np.full((64, 64, 3), 40 + 4 * number, np.uint8))
    return path


def _trial(subject: str, seconds: float, psnr: float | None) -> Trial:
    score = Score(
        value=psnr, unit="dB", higher_is_better=True, unavailable=None if psnr else "no reference"
    )
    return Trial(subject=subject, training_seconds=seconds, scores={"psnr": score}, run_seconds=1.0)


def test_a_piece_is_the_capture_s_end_in_sync(capture: Path, tmp_path: Path) -> None:
    """The last half second: its last pictures and its loud sound."""
    piece = tmp_path / "piece.mp4"

    cut_piece(capture, 0.48, piece)

    frames = list(read_frames(piece, 25))
    assert 12 == len(frames)
    assert 40 + 4 * 38 == pytest.approx(float(frames[0].mean()), abs=2)
    assert 0.35 == pytest.approx(float(read_audio(piece)[2000:6000].std()), abs=0.03)


def test_curves_are_sorted_and_leave_out_what_is_missing() -> None:
    """A figure that could not be computed is no point."""
    trials = [_trial("may", 10, 33.0), _trial("may", 5, 30.0), _trial("may", 7.5, None)]

    assert {"may": [(5, 30.0), (10, 33.0)]} == curves("psnr", trials)


def test_the_worst_subject_is_judged_at_the_longest_training() -> None:
    """Higher is better for PSNR."""
    trials = [_trial("may", 10, 33.0), _trial("may", 5, 20.0), _trial("obama", 10, 31.0)]

    assert "obama" == worst_subject("psnr", trials)


def test_the_page_shows_every_subject_and_needs_nothing_else(tmp_path: Path) -> None:
    """A table and a chart; names are escaped."""
    page = tmp_path / "report.html"

    write_few_shot_report(page, [_trial("may", 5, 30.0), _trial("<b>", 10, 33.0)])

    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "may" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "http" not in text


@pytest.mark.parametrize("lengths", ["five", "5,,7", "0,5"])
def test_nonsense_lengths_are_wrong_usage(lengths: str, capture: Path) -> None:
    """Before anything is trained."""
    assert 2 == run_command(["bench", "--fewshot", lengths, str(capture)])


def test_a_capture_shorter_than_the_experiment_is_refused(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names both lengths."""
    out = tmp_path / "out"

    code = run_command(["bench", "--fewshot", "5", str(capture), "--out", str(out)])

    told = capsys.readouterr().err
    assert 1 == code
    assert "error[too_short]" in told
    assert "2.00 s" in told
    assert not out.exists()


def test_labels_are_not_cut_at_the_edge_of_the_chart(tmp_path: Path) -> None:
    """The subject whose curve ends highest has its name inside the picture."""
    trials = [_trial("high", 5, 30.0), _trial("high", 10, 33.0)]
    trials += [_trial("low", 5, 29.0), _trial("low", 10, 25.0)]

    write_few_shot_report(tmp_path / "page.html", trials)

    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    heights = [float(y) for y in re.findall(r'class="tick name" x="[^"]+" y="([^"]+)"', page)]
    assert heights
    assert 12 <= min(heights)
    assert max(heights) <= 240  # above the labels of the axis
