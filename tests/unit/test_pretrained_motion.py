"""Animating with a published motion model: no fit, this avatar's face, any speaker."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.motion_models import unitalker
from services.audio2motion.mouth import lip_gaps, read_mouth
from services.audio2motion.predict import animate_avatar
from services.audio2motion.pretrained import (
    SpeakerChoice,
    prepare_motion_model,
    ready_motion_model,
)
from services.audio2motion.tracks import coefficients_of, motion_tracks
from shared.contracts.artifact import read_arrays, read_manifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.errors import InvalidInput
from shared.head_model import save_head_model
from shared.media.audio import write_wav
from shared.progress import silent
from tests.published_files import write_state
from tests.spoken_dataset import (
    FPS,
    make_head_model,
    make_opening,
    make_speech,
    write_avatar,
    write_dataset,
)

F32 = NDArray[np.float32]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds UniTalker B."""
    folder = tmp_path_factory.mktemp("models")
    write_state(folder / "unitalker.pt", "unitalker_b")
    return folder


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar whose capture was never fitted."""
    folder = tmp_path_factory.mktemp("avatar")
    made = write_avatar(folder / "avatar", write_dataset(folder / "dataset"))
    save_head_model(made / "head_model.npz", make_head_model())
    return made


@pytest.fixture(autouse=True)
def _settings(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(models_dir))


def test_an_avatar_is_animated_without_a_fit(avatar: Path, tmp_path: Path) -> None:
    """The motion is the speech's length at the avatar's rate, in its range, lips uncrossed."""
    write_wav(tmp_path / "speech.wav", make_speech(make_opening(20)))

    with ready_motion_model("unitalker", avatar, SpeakerChoice(style=17)) as folder:
        options = AnimateOptions(motion_model=folder)
        animate_avatar(avatar, tmp_path / "speech.wav", options, tmp_path / "motion", silent)
        mouth = read_mouth(folder or avatar)

    manifest = read_manifest(tmp_path / "motion", MotionManifest)
    moved = coefficients_of(
        motion_tracks(read_arrays(tmp_path / "motion" / "motion.npz", MOTION_TABLE))
    )
    assert ("unitalker", "wavlm", FPS) == (
        manifest.motion_model, manifest.audio_encoder, manifest.fps
    )  # fmt: skip
    assert 20 == len(moved)
    assert lip_gaps(mouth, moved).min() > -1e-5


def test_a_stream_gives_the_frames_of_the_whole(avatar: Path, tmp_path: Path) -> None:
    """Settled with the end of the window."""
    prepare_motion_model("unitalker", avatar, SpeakerChoice(), tmp_path / "model")
    speech, pose = make_speech(make_opening(20)), np.zeros((20, 6), np.float32)
    stream = unitalker.open_stream(tmp_path / "model", speech, fps=FPS)

    early = stream.push(speech, pose)
    frames = np.concatenate([early, stream.finish(pose[:0])])

    whole = unitalker.predict(tmp_path / "model", speech, pose, fps=FPS)
    assert (0, 20) == (len(early), len(frames))
    assert np.abs(whole - frames).max() < 1e-4


def test_the_folder_is_gone_afterwards(avatar: Path) -> None:
    """It belongs to one animation."""
    with ready_motion_model("unitalker", avatar, SpeakerChoice()) as folder:
        assert folder is not None
        assert folder.is_dir()

    assert not folder.exists()


def test_a_model_that_must_be_fitted_is_refused(avatar: Path, tmp_path: Path) -> None:
    """With the command that fits it."""
    with pytest.raises(InvalidInput, match="fit-motion") as refused:
        prepare_motion_model("speaker_regressor", avatar, SpeakerChoice(), tmp_path)

    assert "model_needs_fitting" == refused.value.code


def test_a_published_model_cannot_be_fitted(tmp_path: Path) -> None:
    """With the command that takes it."""
    shown = None

    with pytest.raises(InvalidInput, match="animate") as refused:
        unitalker.fit(shown, seed=0, out=tmp_path, progress=silent)  # type: ignore[arg-type]

    assert "model_not_trainable" == refused.value.code


def test_a_style_without_styles_is_refused(avatar: Path) -> None:
    """The avatar's own model has one speaker."""
    with (
        pytest.raises(InvalidInput, match="style") as refused,
        ready_motion_model(None, avatar, SpeakerChoice(style=1)),
    ):
        pass

    assert "bad_options" == refused.value.code
