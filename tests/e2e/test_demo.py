"""The whole flow on the demo's capture: results, quality bar, resuming, equal bytes."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import av

from services.embedded.puppet.capture import FPS, HELDOUT_SECONDS, SPEECH_SECONDS
from shared.contracts.scores import Score
from tests.e2e.conftest import Demo, talksplat

MAX_SECONDS = 600.0
"""The demo's own limit is 300 on two idle cores; CI machines are slower and share them."""
# Close below what is reached, see ARCHITECTURE.md; rounding differs between processors.
MIN_PSNR = 31.5
MIN_SSIM = 0.94
MAX_LMD_SHARE = 0.4
MIN_OPENING_CORR = 0.93
MIN_TRACKED_JAW = 0.9
MIN_SPOKEN_JAW = 0.9


def _spoken(demo: Demo, name: str) -> Score:
    return demo.outcome.run.scores["spoken"].scores[name]


def _value(score: Score) -> float:
    assert score.value is not None, score.unavailable
    return score.value


def test_the_video_has_the_speech_s_length_and_both_streams(demo: Demo) -> None:
    """H.264 and AAC, 25 frames per second, as long as the speech."""
    with av.open(demo.outcome.run.files["video"]) as video:
        n_frames = sum(1 for _ in video.decode(video=0))

        assert round(SPEECH_SECONDS * FPS) == n_frames
        assert {"h264", "aac"} == {stream.codec_context.name for stream in video.streams}


def test_the_held_out_video_is_as_long_as_what_was_held_out(demo: Demo) -> None:
    """Every frame is re-spoken."""
    with av.open(demo.outcome.run.files["heldout"]) as video:
        assert round(HELDOUT_SECONDS * FPS) == sum(1 for _ in video.decode(video=0))


def test_the_report_needs_nothing_else(demo: Demo) -> None:
    """One file, no address in it, pictures inside."""
    page = Path(demo.outcome.run.files["report"]).read_text(encoding="utf-8")

    assert "data:image/" in page
    assert not any(part in page for part in ('src="http', "url(http", '<link href="http'))


def test_the_demo_is_quick(demo: Demo) -> None:
    """All of it, compiling included."""
    assert demo.seconds < MAX_SECONDS


def test_held_out_frames_look_right(demo: Demo) -> None:
    """PSNR and SSIM of frames that no training saw, lips predicted from sound."""
    assert _value(_spoken(demo, "psnr")) > MIN_PSNR
    assert _value(_spoken(demo, "ssim")) > MIN_SSIM


def test_the_mouth_follows_the_sound(demo: Demo) -> None:
    """Better than the mean mouth, in time with the capture and with the puppet's own jaw."""
    lmd, opening = _spoken(demo, "lmd"), _spoken(demo, "opening_corr")

    assert _value(lmd) < MAX_LMD_SHARE * lmd.baselines["mean_mouth"]
    assert _value(opening) > MIN_OPENING_CORR
    assert abs(opening.details["lag_frames"]) <= 1
    assert demo.outcome.truth["tracked jaw"] > MIN_TRACKED_JAW
    assert demo.outcome.truth["spoken jaw"] > MIN_SPOKEN_JAW


def test_no_stage_reads_the_truth_and_a_killed_training_ends_in_equal_bytes(
    demo: Demo, tmp_path: Path
) -> None:
    """Without truth.npz, and killed half-way through training, the same files come out."""
    shutil.copytree(demo.folder / "capture", tmp_path / "capture")
    (tmp_path / "capture" / "truth.npz").unlink()
    out = tmp_path / "out"
    command = [
        *(*talksplat(), "run", "--capture", str(tmp_path / "capture" / "capture.mp4")),
        *("--speech", str(tmp_path / "capture" / "speech.wav"), "--out", str(out)),
        *("--holdout", f"{HELDOUT_SECONDS}", "--preset", "draft"),
    ]
    _kill_during_training(command, out)

    again = subprocess.run(command, check=False, capture_output=True, text=True)

    assert 0 == again.returncode, again.stderr
    assert "preprocess: 100%    0.0 s  done before" in again.stderr
    for name in ("video.mp4", "heldout.mp4", "avatar/gaussians.safetensors", "motion/motion.npz"):
        assert (demo.folder / name).read_bytes() == (out / name).read_bytes(), name


def test_a_second_run_does_nothing_again(demo: Demo) -> None:
    """Every step is found done."""
    started = time.monotonic()

    again = subprocess.run(
        [*talksplat(), "demo", "--out", str(demo.folder)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert 0 == again.returncode, again.stderr
    assert again.stderr.count("done before") >= 10
    assert time.monotonic() - started < 0.3 * demo.seconds


def _kill_during_training(command: list[str], out: Path) -> None:
    """Start the command and kill it, impolitely, once a checkpoint is there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + MAX_SECONDS
    while not (out / "avatar" / "checkpoints" / "latest.json").is_file():
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
