"""How fast speech becomes motion and a video its scores, as a user waits for them.

Bars are for two cores that do nothing else. Run with ``make quality``.
"""

import time
from pathlib import Path

import numpy as np

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.predict import animate_avatar
from shared.contracts.artifact import read_manifest
from shared.contracts.motion import MotionManifest
from shared.media.audio import SAMPLE_RATE, read_audio, write_wav
from shared.progress import silent
from tests.quality.conftest import Run, talksplat

LEAST_TIMES_REAL_TIME = 50
MAX_SCORING_S = 15
_REPEATS = 8


def test_a_minute_and_a_half_of_speech_takes_two_seconds(
    may: Run, footage: Path, tmp_path: Path
) -> None:
    """Sound to motion with the default model, without the start of the process."""
    speech = read_audio(footage / "speech" / "macron_12s_fr_male_48k_stereo.wav")
    write_wav(tmp_path / "long.wav", np.tile(speech, _REPEATS))
    avatar = may.folder / "avatar"
    animate_avatar(avatar, tmp_path / "long.wav", AnimateOptions(), tmp_path / "warm", silent)

    start = time.perf_counter()
    animate_avatar(avatar, tmp_path / "long.wav", AnimateOptions(), tmp_path / "motion", silent)
    took = time.perf_counter() - start

    n_frames = read_manifest(tmp_path / "motion", MotionManifest).n_frames
    times = len(speech) * _REPEATS / SAMPLE_RATE / took
    assert times >= LEAST_TIMES_REAL_TIME, f"{n_frames} frames in {took:.2f} s"


def test_thirteen_seconds_are_scored_in_fifteen(footage: Path, tmp_path: Path) -> None:
    """``talksplat evaluate`` with a reference, report and face film, start-up included."""
    capture = footage / "captures" / "may_13s_512.mp4"

    start = time.perf_counter()
    done = talksplat("evaluate", capture, "--reference", capture, "-o", tmp_path / "scores")
    took = time.perf_counter() - start

    assert 0 == done.returncode, done.stderr
    assert took <= MAX_SCORING_S, f"scored in {took:.1f} s"
