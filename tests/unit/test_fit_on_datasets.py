"""Motion models of several captures, and how they speak what was held out."""

import json
from pathlib import Path

import numpy as np
import pytest

from services.audio2motion import translator_training
from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.fit import FitMotionOptions, fit_on_datasets
from services.audio2motion.motion_models import speaker_translator
from services.audio2motion.predict import animate_avatar
from services.audio2motion.tracks import motion_tracks
from shared.contracts.artifact import read_arrays, read_manifest, write_manifest
from shared.contracts.motion import MOTION_TABLE
from shared.contracts.motion_model import MotionModelManifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.errors import InvalidInput
from shared.head_model import save_head_model
from shared.media.audio import write_wav
from shared.progress import silent
from shared.training_checkpoints import Checkpoint, save_checkpoint
from tests.spoken_dataset import (
    make_head_model,
    make_opening,
    make_speech,
    write_avatar,
    write_dataset,
)

TRANSLATOR = FitMotionOptions(motion_model="speaker_translator", max_steps=4)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two subjects of eight seconds, two of them held out."""
    folder = tmp_path_factory.mktemp("captures")
    made = [write_dataset(folder / name, seed=seed) for seed, name in enumerate(("a", "b"))]
    manifest = read_manifest(made[1], TrackedDatasetManifest)
    write_manifest(made[1], manifest.model_copy(update={"capture_sha256": "1" * 64}))
    return made


@pytest.fixture(scope="module")
def model(datasets: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A translator of both."""
    folder = tmp_path_factory.mktemp("model")
    fit_on_datasets(datasets, TRANSLATOR, folder, silent)
    return folder


def test_names_every_capture(model: Path) -> None:
    """Consent is bound to each of them."""
    manifest = read_manifest(model, MotionModelManifest)

    assert ("0" * 64, ("1" * 64,)) == (manifest.capture_sha256, manifest.other_captures)
    assert "mel+vocal_tract" == manifest.audio_encoder
    assert not (model / "checkpoints").exists()


def test_reports_held_out_speech_of_each(model: Path) -> None:
    """Lips beat the mean mouth and are in time."""
    reports = json.loads((model / "heldout.json").read_text())

    assert ["0" * 64, "1" * 64] == [report["capture"] for report in reports]
    for report in reports:
        assert report["lip_distance_mm"] < 0.8 * report["mean_mouth_mm"]
        assert report["opening_corr"] > 0.8
        assert abs(report["lag_frames"]) <= 1
        assert 0 < report["lve_mm2"] < 100
        assert report["upper_variance_tracked_mm2"] > 0


def test_the_listed_files_are_those_there(model: Path) -> None:
    """The report is part of the artifact."""
    assert "heldout.json" in read_manifest(model, MotionModelManifest).files


def test_a_stranger_borrows_it(model: Path, datasets: list[Path], tmp_path: Path) -> None:
    """An avatar of a third capture speaks through it about its own mean, in its own range."""
    avatar = write_avatar(tmp_path / "avatar", datasets[0])
    text = (avatar / "manifest.json").read_text().replace("0" * 64, "2" * 64)
    (avatar / "manifest.json").write_text(text)
    save_head_model(avatar / "head_model.npz", make_head_model())
    opening = make_opening(100, seed=9)
    write_wav(tmp_path / "speech.wav", make_speech(opening, seed=9))

    options = AnimateOptions(motion_model=model)
    animate_avatar(avatar, tmp_path / "speech.wav", options, tmp_path / "motion", silent)

    motion = motion_tracks(read_arrays(tmp_path / "motion" / "motion.npz", MOTION_TABLE))
    assert np.corrcoef(motion["jaw_pose"][:, 0], opening)[0, 1] > 0.75


def test_a_stopped_training_ends_as_an_unbroken_one(
    datasets: list[Path], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after two of four steps, the same command goes on and writes the same bytes."""

    class StoppedError(Exception):
        """A kill."""

    def save_and_stop(folder: Path, key: str, checkpoint: Checkpoint) -> None:
        save_checkpoint(folder, key, checkpoint)
        if checkpoint.step == 2:
            raise StoppedError

    monkeypatch.setattr(translator_training, "save_checkpoint", save_and_stop)
    with pytest.raises(StoppedError):
        fit_on_datasets(datasets, TRANSLATOR, tmp_path / "model", silent)
    assert (tmp_path / "model" / "checkpoints" / "latest.json").is_file()

    monkeypatch.setattr(translator_training, "save_checkpoint", save_checkpoint)
    fit_on_datasets(datasets, TRANSLATOR, tmp_path / "model", silent)

    name = "speaker_translator.safetensors"
    assert (model / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_a_model_of_one_capture_refuses_two(datasets: list[Path], tmp_path: Path) -> None:
    """And says which model takes several."""
    with pytest.raises(InvalidInput, match="speaker_translator") as refused:
        fit_on_datasets(datasets, FitMotionOptions(), tmp_path, silent)

    assert "one_capture_only" == refused.value.code


def test_an_encoder_of_choice_is_listened_through(datasets: list[Path], tmp_path: Path) -> None:
    """And named in the manifest."""
    options = TRANSLATOR.model_copy(update={"audio_encoder": "mel", "max_steps": 0})

    assert "mel" == fit_on_datasets(datasets[:1], options, tmp_path, silent).audio_encoder


def test_a_damaged_model_is_refused(model: Path, tmp_path: Path) -> None:
    """Rather than spoken through."""
    (tmp_path / "speaker_translator.json").write_bytes(
        (model / "speaker_translator.json").read_bytes()
    )
    (tmp_path / "speaker_translator.safetensors").write_bytes(b"torn")

    with pytest.raises(InvalidInput) as refused:
        speaker_translator.predict(
            tmp_path, np.zeros(16_000, np.float32), np.zeros((5, 6), np.float32), fps=25
        )

    assert "bad_motion_model" == refused.value.code
