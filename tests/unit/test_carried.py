"""What a motion carries besides the head model's parameters, for avatars that ask for it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.carried import carry
from services.audio2motion.fit import FitMotionOptions, fit_motion_model
from services.audio2motion.predict import animate_avatar, animate_heldout
from shared.contracts.artifact import read_arrays, read_manifest, write_arrays, write_manifest
from shared.contracts.avatar import TRAINING_TABLE, AvatarManifest
from shared.contracts.motion import (
    AUDIO_FEATURES_TABLE,
    MOTION_TABLE,
    UPPER_FACE_TABLE,
    MotionManifest,
)
from shared.errors import InvalidInput
from shared.media.audio import write_wav
from shared.progress import silent
from tests.spoken_dataset import (
    NAMES,
    avatar_manifest,
    make_opening,
    make_speech,
    write_avatar,
    write_dataset,
)

BLINKS = [NAMES.index("eyeBlink_L"), NAMES.index("eyeBlink_R")]
DEMANDS = {"feature_encoder": "mel", "feature_rows": 20, "needs_upper_face": True}
N_TRAIN, N_HELDOUT = 200, 50


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracked dataset with sound."""
    return write_dataset(tmp_path_factory.mktemp("capture") / "dataset")


@pytest.fixture(scope="module")
def avatar(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar that listens and looks at brows and blinks as they were tracked."""
    folder = write_avatar(tmp_path_factory.mktemp("avatar") / "avatar", dataset)
    shutil.copyfile(dataset / "head_model.npz", folder / "head_model.npz")
    expr = read_arrays(folder / "tracking.npz", TRAINING_TABLE)["expr"]
    write_upper_face(folder, tracked_units(expr.astype(np.float32)))
    write_manifest(folder, avatar_manifest().model_copy(update=DEMANDS))
    fit_motion_model(dataset, FitMotionOptions(), folder / "motion_model", silent)
    return folder


def tracked_units(
    expr: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The made-up head has three of the seven units. [T, 7]"""
    found = np.zeros((len(expr), 7), np.float32)
    found[:, 2] = expr[:, NAMES.index("browInnerUp")]
    found[:, 5:] = expr[:, BLINKS]
    return found


def write_upper_face(
    folder: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    """As a stage or an importer writes it."""
    write_arrays(folder / "upper_face.npz", {"upper_face": values}, UPPER_FACE_TABLE)


def test_a_motion_carries_what_the_avatar_asks_for(avatar: Path, tmp_path: Path) -> None:
    """Windows of sound and the face's own brows and blinks, one row a frame."""
    write_wav(tmp_path / "speech.wav", make_speech(make_opening(60, seed=4)))

    manifest = animate_avatar(
        avatar, tmp_path / "speech.wav", AnimateOptions(), tmp_path / "motion", silent
    )

    assert ("mel", 20, True) == (
        manifest.feature_encoder,
        manifest.feature_rows,
        manifest.has_upper_face,
    )
    features = read_arrays(tmp_path / "motion" / "audio_features.npz", AUDIO_FEATURES_TABLE)
    assert (60, 20, 40) == features["audio_features"].shape
    expr = read_arrays(tmp_path / "motion" / "motion.npz", MOTION_TABLE)["expr"]
    carried = read_arrays(tmp_path / "motion" / "upper_face.npz", UPPER_FACE_TABLE)["upper_face"]
    np.testing.assert_array_equal(tracked_units(expr.astype(np.float32)), carried)


def test_an_avatar_that_asks_for_nothing_gets_nothing(
    avatar: Path, dataset: Path, tmp_path: Path
) -> None:
    """And what an earlier motion in the folder carried is gone."""
    animate_heldout(avatar, dataset, is_selfdriven=False, out=tmp_path / "motion", progress=silent)
    plain = tmp_path / "plain"
    shutil.copytree(avatar, plain)
    write_manifest(plain, avatar_manifest())

    animate_heldout(plain, dataset, is_selfdriven=False, out=tmp_path / "motion", progress=silent)

    assert {"motion.npz", "audio.wav"} == set(
        read_manifest(tmp_path / "motion", MotionManifest).files
    )


def test_heldout_frames_hear_over_the_split(avatar: Path, dataset: Path, tmp_path: Path) -> None:
    """Their first window holds sound of the last training frames, not a repeated row."""
    animate_heldout(avatar, dataset, is_selfdriven=False, out=tmp_path / "motion", progress=silent)

    features = read_arrays(tmp_path / "motion" / "audio_features.npz", AUDIO_FEATURES_TABLE)
    first = features["audio_features"][0]
    assert N_HELDOUT == len(features["audio_features"])
    assert len(np.unique(first, axis=0)) == len(first)


def test_supplied_units_are_carried_in_their_own_terms(
    avatar: Path, dataset: Path, tmp_path: Path
) -> None:
    """Selfdriven they are the supplied ones; spoken, tracked ones are brought to their scale."""
    own, told = tmp_path / "dataset", tmp_path / "avatar"
    shutil.copytree(dataset, own)
    shutil.copytree(avatar, told)
    expr = read_arrays(avatar / "tracking.npz", TRAINING_TABLE)["expr"].astype(np.float32)
    write_upper_face(told, 0.1 + 0.5 * tracked_units(expr))
    supplied = np.random.default_rng(3).uniform(size=(N_TRAIN + N_HELDOUT, 7)).astype(np.float32)
    write_upper_face(own, supplied)

    animate_heldout(told, own, is_selfdriven=True, out=tmp_path / "selfdriven", progress=silent)
    animate_heldout(told, own, is_selfdriven=False, out=tmp_path / "spoken", progress=silent)

    selfdriven, spoken = (
        read_arrays(tmp_path / name / "upper_face.npz", UPPER_FACE_TABLE)["upper_face"]
        for name in ("selfdriven", "spoken")
    )
    np.testing.assert_array_equal(supplied[N_TRAIN:], selfdriven)
    expr = read_arrays(tmp_path / "spoken" / "motion.npz", MOTION_TABLE)["expr"].astype(np.float32)
    lids = tracked_units(expr)[:, 5:]
    np.testing.assert_allclose(0.1 + 0.5 * lids, spoken[:, 5:].astype(np.float32), atol=1e-4)


def test_a_listening_avatar_needs_sound(avatar: Path) -> None:
    """Tracked motion without sound cannot drive it."""
    about = read_manifest(avatar, AvatarManifest)
    tracks = {
        name: values.astype(np.float32)
        for name, values in read_arrays(avatar / "tracking.npz", TRAINING_TABLE).items()
        if name in MOTION_TABLE
    }

    with pytest.raises(InvalidInput, match="driven by sound") as refused:
        carry(avatar, about, tracks, None, 25)

    assert "no_audio" == refused.value.code
