"""The dataset's sound: as long as the frames, its offset taken off when sure and noticeable."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.sound import write_sound
from shared import landmarks as lm
from shared.media.audio import read_audio, write_wav
from shared.media.av_sync import NATURAL_LEAD_MS
from tests.media_files import numbered_frame, write_video
from tests.spoken_dataset import make_opening, make_speech

F32 = NDArray[np.float32]

N_FRAMES = 250


def make_landmarks(opening: F32) -> F32:
    """Faces whose mouths open as told. [T, 478, 3]"""
    faces = np.zeros((len(opening), lm.N_LANDMARKS, 3), np.float32)
    faces[:, lm.EYE_CORNERS[3], 0] = 100.0
    faces[:, lm.INNER_LIP_PAIRS[4][1], 1] = 30.0 * opening
    return faces


def write_speech(path: Path, opening: F32, late_ms: float) -> F32:
    """Write speech that is late against the lips; the speech as written."""
    audio = np.roll(make_speech(opening), round(16 * (late_ms + NATURAL_LEAD_MS)))
    write_wav(path, audio)
    return audio


def test_late_sound_is_found_recorded_and_moved(tmp_path: Path) -> None:
    """200 ms of lateness are gone from audio.wav."""
    opening = make_opening(N_FRAMES)
    audio = write_speech(tmp_path / "capture.wav", opening, 200.0)

    report = write_sound(
        tmp_path / "capture.wav", 0.0, make_landmarks(opening), N_FRAMES, tmp_path / "audio.wav"
    )

    assert report.offset_ms == pytest.approx(200.0, abs=20)
    assert report.correction_ms == report.offset_ms
    written = read_audio(tmp_path / "audio.wav")
    moved = round(16 * report.correction_ms)
    assert N_FRAMES * 640 == written.size
    assert np.abs(written[:100_000] - audio[moved : moved + 100_000]).max() < 1e-3


def test_unnoticeable_offset_is_recorded_but_left(tmp_path: Path) -> None:
    """Sound in step stays as it is."""
    opening = make_opening(N_FRAMES)
    audio = write_speech(tmp_path / "capture.wav", opening, 10.0)

    report = write_sound(
        tmp_path / "capture.wav", 0.0, make_landmarks(opening), N_FRAMES, tmp_path / "audio.wav"
    )

    assert 0.0 == report.correction_ms
    assert report.offset_ms == pytest.approx(10.0, abs=20)
    assert np.abs(read_audio(tmp_path / "audio.wav") - audio[: N_FRAMES * 640]).max() < 1e-3


def test_unsure_offset_is_left_with_a_warning(tmp_path: Path) -> None:
    """Speech of another take is not moved."""
    write_speech(tmp_path / "capture.wav", make_opening(N_FRAMES, seed=7), 200.0)

    report = write_sound(
        tmp_path / "capture.wav",
        0.0,
        make_landmarks(make_opening(N_FRAMES, seed=3)),
        N_FRAMES,
        tmp_path / "audio.wav",
    )

    assert 0.0 == report.correction_ms
    assert "offset_unsure" in report.warnings


def test_held_out_frames_do_not_change_the_offset(tmp_path: Path) -> None:
    """What follows the split may be anything."""
    opening = make_opening(N_FRAMES)
    write_speech(tmp_path / "capture.wav", opening, 120.0)
    other = opening.copy()
    other[200:] = 0.0

    reports = [
        write_sound(
            tmp_path / "capture.wav", 0.0, make_landmarks(track), 200, tmp_path / "audio.wav"
        )
        for track in (opening, other)
    ]

    assert reports[0] == reports[1]


def test_no_sound_is_a_warning(tmp_path: Path) -> None:
    """A silent film gives no file and a code; an old file is taken away."""
    frames = [numbered_frame(1)] * 5
    capture = write_video(tmp_path / "a.mp4", frames, [k / 25 for k in range(5)])
    (tmp_path / "audio.wav").write_bytes(b"old")

    report = write_sound(
        capture, 0.0, make_landmarks(np.zeros(5, np.float32)), 5, tmp_path / "audio.wav"
    )

    assert not report.has_audio
    assert report.offset_ms is None
    assert ["no_audio"] == list(report.warnings)
    assert not (tmp_path / "audio.wav").exists()


def test_silent_sound_is_told(tmp_path: Path) -> None:
    """A track of zeros is sound, but nothing can be learnt from it."""
    write_wav(tmp_path / "capture.wav", np.zeros(N_FRAMES * 640, np.float32))

    report = write_sound(
        tmp_path / "capture.wav",
        0.0,
        make_landmarks(make_opening(N_FRAMES)),
        N_FRAMES,
        tmp_path / "audio.wav",
    )

    assert report.has_audio
    assert "silent_audio" in report.warnings
