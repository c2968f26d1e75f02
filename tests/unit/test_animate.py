"""The two stages of audio2motion, on a made-up speaker."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.fit import FitMotionOptions, fit_motion_model
from services.audio2motion.mouth import lip_gaps, read_mouth
from services.audio2motion.predict import animate_avatar, animate_heldout
from services.audio2motion.tracks import Tracks, coefficients_of, motion_tracks
from shared.contracts.artifact import (
    read_arrays,
    read_manifest,
    write_arrays,
    write_manifest,
)
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.contracts.motion_model import MotionModelManifest
from shared.contracts.tracked_dataset import TRACKING_TABLE
from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, write_wav
from shared.progress import silent
from tests.spoken_dataset import (
    NAMES,
    avatar_manifest,
    dataset_manifest,
    make_opening,
    make_speech,
    write_avatar,
    write_dataset,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracked dataset of 200 training and 50 held-out frames."""
    return write_dataset(tmp_path_factory.mktemp("capture") / "dataset")


@pytest.fixture(scope="module")
def avatar(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar of that dataset with its motion model."""
    folder = write_avatar(tmp_path_factory.mktemp("avatar") / "avatar", dataset)
    fit_motion_model(dataset, FitMotionOptions(), folder / "motion_model", silent)
    return folder


def say(avatar: Path, folder: Path, audio: NDArray[np.floating[Any]], **options: object) -> Tracks:
    """Animate the avatar with ``audio`` and read the motion."""
    write_wav(folder / "speech.wav", audio.astype(np.float32))
    animate_avatar(
        avatar,
        folder / "speech.wav",
        AnimateOptions.model_validate(options),
        folder / "motion",
        silent,
    )
    return motion_tracks(read_arrays(folder / "motion" / "motion.npz", MOTION_TABLE))


def test_mouth_follows_unheard_speech(avatar: Path, tmp_path: Path) -> None:
    """The jaw opens with the syllables of a speech that was never seen."""
    opening = make_opening(150, seed=9)

    motion = say(avatar, tmp_path, make_speech(opening, seed=9))

    assert np.corrcoef(motion["jaw_pose"][:, 0], opening)[0, 1] > 0.8


def test_motion_is_as_long_as_the_speech(avatar: Path, tmp_path: Path) -> None:
    """Every array has the speech's length in frames, and so says the manifest."""
    motion = say(avatar, tmp_path, make_speech(make_opening(110)))

    manifest = read_manifest(tmp_path / "motion", MotionManifest)
    assert {110} == {len(track) for track in motion.values()} | {manifest.n_frames}
    assert ("speaker_regressor", "mel+vocal_tract", "capture") == (
        manifest.motion_model,
        manifest.audio_encoder,
        manifest.pose_source,
    )


@pytest.mark.parametrize("level_db", [-200.0, -65.0])
def test_mouth_stays_closed_in_silence(avatar: Path, tmp_path: Path, level_db: float) -> None:
    """Digital silence and the noise of a room leave the mouth as it is when closed."""
    noise = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE) * 10 ** (level_db / 20)

    motion = say(avatar, tmp_path, noise)

    mouth = read_mouth(avatar / "motion_model")
    assert np.allclose(mouth.closed[-9:-6], motion["jaw_pose"], atol=1e-6)


def test_lips_never_cross_and_stay_in_range(avatar: Path, tmp_path: Path) -> None:
    """Even when articulation is exaggerated threefold."""
    motion = say(avatar, tmp_path, make_speech(make_opening(100, seed=4)), articulation=3.0)

    mouth = read_mouth(avatar / "motion_model")
    moved = coefficients_of(motion)
    spoken = moved[:, mouth.is_mouth]
    assert lip_gaps(mouth, moved).min() > -1e-5
    assert (spoken >= mouth.low[mouth.is_mouth] - 1e-6).all()
    assert (spoken <= mouth.high[mouth.is_mouth] + 1e-6).all()


def test_motion_keeps_time_at_another_frame_rate(avatar: Path, tmp_path: Path) -> None:
    """At 50 fps every second frame is about what 25 fps gives."""
    audio = make_speech(make_opening(100, seed=2))

    slow = say(avatar, tmp_path, audio, pose_source="fixed")
    fast = say(avatar, tmp_path, audio, pose_source="fixed", fps=50)

    assert 200 == len(fast["jaw_pose"])
    assert np.corrcoef(slow["jaw_pose"][:, 0], fast["jaw_pose"][::2, 0])[0, 1] > 0.98


def test_equal_seed_gives_equal_bytes(avatar: Path, tmp_path: Path) -> None:
    """The whole folder repeats, and another seed moves the head otherwise."""
    audio = make_speech(make_opening(100))
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        folder.mkdir()
        say(avatar, folder, audio, seed=seed)

    first, second, other = [(f / "motion" / "motion.npz").read_bytes() for f in folders]
    assert first == second
    assert first != other


def test_fixed_pose_holds_the_head_still(avatar: Path, tmp_path: Path) -> None:
    """No rotation, no translation."""
    motion = say(avatar, tmp_path, make_speech(make_opening(60)), pose_source="fixed")

    assert 0 == np.ptp(motion["rotation"], axis=0).max()
    assert 0 == np.ptp(motion["translation"], axis=0).max()


def test_avatar_without_motion_model_is_refused(dataset: Path, tmp_path: Path) -> None:
    """The message names the way out."""
    bare = write_avatar(tmp_path / "bare", dataset)

    with pytest.raises(InvalidInput, match="--motion-model") as refusal:
        say(bare, tmp_path, make_speech(make_opening(50)))
    assert "no_motion_model" == refusal.value.code


def test_motion_model_of_another_capture_can_be_named(
    avatar: Path, dataset: Path, tmp_path: Path
) -> None:
    """An avatar without its own motion model speaks with that of another."""
    bare = write_avatar(tmp_path / "bare", dataset)

    motion = say(
        bare, tmp_path, make_speech(make_opening(50)), motion_model=avatar / "motion_model"
    )

    assert 50 == len(motion["expr"])


def test_motion_model_of_another_head_is_refused(avatar: Path, tmp_path: Path) -> None:
    """Expressions that do not match are named by their number."""
    other = tmp_path / "other"
    other.mkdir()
    write_manifest(other, avatar_manifest(NAMES[:-1]))

    with pytest.raises(InvalidInput, match="4 of open_head") as refusal:
        say(other, tmp_path, make_speech(make_opening(50)), motion_model=avatar / "motion_model")
    assert "motion_incompatible" == refusal.value.code


def test_too_short_speech_is_refused(avatar: Path, tmp_path: Path) -> None:
    """Fifty milliseconds are no speech."""
    with pytest.raises(InvalidInput) as refusal:
        say(avatar, tmp_path, np.zeros(SAMPLE_RATE // 20))
    assert "speech_too_short" == refusal.value.code


def test_capture_without_sound_is_refused(tmp_path: Path) -> None:
    """There is nothing to learn speaking from."""
    dataset = write_dataset(tmp_path / "mute")
    (dataset / "audio.wav").unlink()
    write_manifest(dataset, dataset_manifest(250, 200, has_audio=False))

    with pytest.raises(InvalidInput) as refusal:
        fit_motion_model(dataset, FitMotionOptions(), tmp_path / "model", silent)
    assert "no_audio" == refusal.value.code


def test_capture_without_speech_is_refused(tmp_path: Path) -> None:
    """Sound alone does not make a motion model."""
    dataset = write_dataset(tmp_path / "quiet")
    write_wav(dataset / "audio.wav", np.zeros(10 * SAMPLE_RATE, np.float32))

    with pytest.raises(InvalidInput) as refusal:
        fit_motion_model(dataset, FitMotionOptions(), tmp_path / "model", silent)
    assert "no_speech" == refusal.value.code


def test_short_capture_is_refused(tmp_path: Path) -> None:
    """Two seconds do not make a motion model."""
    dataset = write_dataset(tmp_path / "short", n_train=50, n_heldout=200)

    with pytest.raises(InvalidInput) as refusal:
        fit_motion_model(dataset, FitMotionOptions(), tmp_path / "model", silent)
    assert "too_short" == refusal.value.code


def test_still_mouth_is_refused(tmp_path: Path) -> None:
    """A capture whose lips do not move teaches nothing."""
    dataset = write_dataset(tmp_path / "still")
    arrays = read_arrays(dataset / "tracking.npz", TRACKING_TABLE)
    still = {name: np.zeros_like(arrays[name]) for name in ("expr", "jaw_pose")}
    write_arrays(dataset / "tracking.npz", arrays | still, TRACKING_TABLE)

    with pytest.raises(InvalidInput) as refusal:
        fit_motion_model(dataset, FitMotionOptions(), tmp_path / "model", silent)
    assert "still_mouth" == refusal.value.code


def test_held_out_frames_teach_nothing(dataset: Path, avatar: Path, tmp_path: Path) -> None:
    """Other motion and other sound after the split give the same motion model, byte for byte."""
    other = write_dataset(tmp_path / "other")
    arrays = read_arrays(other / "tracking.npz", TRACKING_TABLE)
    arrays["expr"][200:] = 0.5
    arrays["jaw_pose"][200:] = 0.3
    write_arrays(other / "tracking.npz", arrays, TRACKING_TABLE)
    samples = (dataset / "audio.wav").read_bytes()
    n_kept = 44 + 2 * 200 * 640
    (other / "audio.wav").write_bytes(samples[:n_kept] + bytes(len(samples) - n_kept))

    fit_motion_model(other, FitMotionOptions(), tmp_path / "model", silent)

    for name in ("mouth.npz", "speaker_regressor.npz"):
        expected = (avatar / "motion_model" / name).read_bytes()
        assert expected == (tmp_path / "model" / name).read_bytes()
    told = [
        read_manifest(folder, MotionModelManifest)
        for folder in (avatar / "motion_model", tmp_path / "model")
    ]
    # Only the report on held-out frames may know of them.
    assert told[0].model_copy(update={"files": {}}) == told[1].model_copy(update={"files": {}})


def test_spoken_heldout_takes_only_the_head_pose(
    dataset: Path, avatar: Path, tmp_path: Path
) -> None:
    """Rotation and translation are the tracked ones; everything else comes from the sound."""
    other = write_dataset(tmp_path / "other")
    arrays = read_arrays(other / "tracking.npz", TRACKING_TABLE)
    for name in ("expr", "jaw_pose", "eyes_pose", "neck_pose"):
        arrays[name][200:] = 0.4
    write_arrays(other / "tracking.npz", arrays, TRACKING_TABLE)

    animate_heldout(avatar, dataset, False, tmp_path / "spoken", silent)  # noqa: FBT003
    animate_heldout(avatar, other, False, tmp_path / "blind", silent)  # noqa: FBT003

    spoken = read_arrays(tmp_path / "spoken" / "motion.npz", MOTION_TABLE)
    blind = read_arrays(tmp_path / "blind" / "motion.npz", MOTION_TABLE)
    assert 50 == len(spoken["expr"])
    assert all(np.array_equal(spoken[name], blind[name]) for name in MOTION_TABLE)
    assert np.array_equal(arrays["rotation"][200:], spoken["rotation"])


def test_selfdriven_heldout_is_what_was_tracked(
    dataset: Path, avatar: Path, tmp_path: Path
) -> None:
    """Every array equals the dataset's held-out frames."""
    manifest = animate_heldout(avatar, dataset, True, tmp_path / "self", silent)  # noqa: FBT003

    expected = read_arrays(dataset / "tracking.npz", TRACKING_TABLE)
    motion = read_arrays(tmp_path / "self" / "motion.npz", MOTION_TABLE)
    assert "tracked" == manifest.motion_model
    assert all(np.array_equal(expected[name][200:], motion[name]) for name in MOTION_TABLE)


def test_refined_pose_is_used_unless_refused(dataset: Path, avatar: Path, tmp_path: Path) -> None:
    """The trainer's held-out pose replaces the tracked one, which can still be asked for."""
    pose = {name: np.full((50, 3), 0.25, np.float32) for name in ("rotation", "translation")}
    np.savez(avatar / "heldout_pose.npz", **pose)

    animate_heldout(avatar, dataset, False, tmp_path / "with", silent)  # noqa: FBT003
    animate_heldout(
        avatar,
        dataset,
        False,  # noqa: FBT003
        tmp_path / "without",
        silent,
        is_refined=False,
    )
    (avatar / "heldout_pose.npz").unlink()

    refined = read_arrays(tmp_path / "with" / "motion.npz", MOTION_TABLE)
    tracked = read_arrays(tmp_path / "without" / "motion.npz", MOTION_TABLE)
    assert 0.25 == refined["rotation"].min()
    assert not np.array_equal(refined["rotation"], tracked["rotation"])
