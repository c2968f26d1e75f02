"""The evaluator's offset between sound and lips, on real footage whose offsets are known.

Needs the real footage: TALKSPLAT_TEST_DATA names its folder. Not part of ``make test``; run with
``make quality``. Takes less than a minute.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from services.evaluator.metric import Evidence, FaceTrack
from services.evaluator.metrics import av_offset
from shared.contracts.tracked_dataset import FPS
from shared.landmarks import N_LANDMARKS
from shared.media.audio import SAMPLE_RATE, fit_length, read_audio
from shared.media.video import probe_video, read_frames
from shared.plugins import load_plugin

_LENGTH = 200
"""Frames of the 8 s forms."""


@pytest.fixture(scope="module")
def material() -> Path:
    """The folder of real footage, which no repository holds."""
    folder = os.environ.get("TALKSPLAT_TEST_DATA")
    if not folder:
        pytest.skip("TALKSPLAT_TEST_DATA is not set: the real footage is not on this machine")
    return Path(folder)


def offset_ms(video: Path, n_frames: int | None = None) -> float:
    """What ``av_offset`` finds in a file, or in its first frames."""
    nobody = np.full((N_LANDMARKS, 3), np.nan, np.float32)
    tracker = load_plugin("shared.trackers", "mediapipe_mesh")
    found = [
        nobody if points is None else points
        for points in tracker.track_landmarks(read_frames(video, FPS))
    ][:n_frames]
    info = probe_video(video)
    audio = read_audio(video, start_s=info.start_s)
    score = av_offset.score(
        Evidence(
            fps=FPS,
            video=FaceTrack(np.stack(found), info.height),
            reference=None,
            training=None,
            audio=fit_length(audio, len(found) * SAMPLE_RATE // FPS),
            render_seconds=None,
        )
    )
    assert score.value is not None, score.unavailable
    return score.value


def test_sound_delayed_by_200_ms_is_found(material: Path) -> None:
    """Within one frame, against the original."""
    original = offset_ms(material / "captures" / "may_13s_512.mp4")

    late = offset_ms(material / "awkward" / "may_13s_512_audiolate200ms.mp4")

    assert 200 == pytest.approx(late - original, abs=40)


@pytest.mark.parametrize("name", ["may_8s_512_2997.mp4", "may_8s_512_vfr.mp4"])
def test_another_frame_rate_changes_nothing(material: Path, name: str) -> None:
    """29.97 fps and variable rate, against the same eight seconds."""
    original = offset_ms(material / "captures" / "may_13s_512.mp4", _LENGTH)

    assert original == pytest.approx(offset_ms(material / "awkward" / name, _LENGTH), abs=40)
