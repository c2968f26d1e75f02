"""Motion while somebody still speaks: the same frames as of the whole recording, a little later."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audio2motion.motion_models import speaker_regressor
from services.audio2motion.motion_models.speaker_regressor import LOOK_AHEAD_S
from services.audio2motion.streaming import is_streaming
from shared.progress import silent
from tests.conformance.test_motion_models import make_capture
from tests.spoken_dataset import FPS, make_opening, make_speech

F32 = NDArray[np.float32]
SAMPLE_RATE = 16_000


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted speaker."""
    folder = tmp_path_factory.mktemp("speaker")
    speaker_regressor.fit(make_capture(), seed=0, out=folder, progress=silent)
    return folder


def make_pose(n_frames: int) -> F32:
    """A head that turns about."""
    turns = np.sin(np.arange(n_frames)[:, None] / [3, 5, 7, 11, 13, 17])
    return turns.astype(np.float32)


@pytest.mark.parametrize(("chunk", "fps"), [(160, 25), (1_111, 25), (4_000, 30), (90_000, 60)])
def test_chunks_give_the_frames_of_the_whole(speaker: Path, chunk: int, fps: int) -> None:
    """Whatever their length, and at any frame rate."""
    speech = make_speech(make_opening(80, seed=8))
    pose = make_pose(round(len(speech) / SAMPLE_RATE * fps))
    stream = speaker_regressor.open_stream(speaker, speech, fps=fps)

    parts = [
        stream.push(speech[at : at + chunk], pose[:0] if at else pose)
        for at in range(0, len(speech), chunk)
    ]
    parts.append(stream.finish(pose[:0]))

    whole = speaker_regressor.predict(speaker, speech, pose, fps=fps)
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-4


def test_a_frame_waits_no_longer_than_the_look_ahead(speaker: Path) -> None:
    """With so much sound after its middle, it is there."""
    speech = make_speech(make_opening(80, seed=8))
    n_frames = 20
    heard = round(((n_frames - 0.5) / FPS + LOOK_AHEAD_S + 0.02) * SAMPLE_RATE)
    stream = speaker_regressor.open_stream(speaker, speech, fps=FPS)

    frames = stream.push(speech[:heard], make_pose(80))

    assert n_frames <= len(frames) < 80


def test_frames_wait_for_their_pose(speaker: Path) -> None:
    """Sound alone gives none, and the poses may come later."""
    speech, pose = make_speech(make_opening(80, seed=8)), make_pose(80)
    stream = speaker_regressor.open_stream(speaker, speech, fps=FPS)

    early = stream.push(speech, pose[:0])
    late = stream.finish(pose)

    assert (0, 80) == (len(early), len(late))
    whole = speaker_regressor.predict(speaker, speech, pose, fps=FPS)
    assert np.abs(late - whole).max() < 1e-4


def test_the_module_says_that_it_can() -> None:
    """So that callers need not know its name."""
    assert is_streaming(speaker_regressor)
