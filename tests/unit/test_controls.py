"""What a user may change of a motion."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from services.audio2motion.animate_options import AnimateOptions
from services.audio2motion.fit import FitMotionOptions, fit_motion_model
from services.audio2motion.pose_keyframes import pose_from_keyframes, read_keyframes
from services.audio2motion.predict import animate_avatar
from services.audio2motion.tracks import Tracks, motion_tracks
from shared.contracts.artifact import read_arrays, read_manifest, write_arrays
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.contracts.tracked_dataset import TRACKING_TABLE
from shared.errors import InvalidInput
from shared.head_model import save_head_model
from shared.media.audio import write_wav
from shared.progress import silent
from tests.spoken_dataset import (
    FPS,
    make_head_model,
    make_opening,
    make_speech,
    make_tracks,
    write_avatar,
    write_dataset,
)

F32 = NDArray[np.float32]
N_FRAMES = 120
BROW, LIDS = 0, [1, 2]


class Stage:
    """An avatar, a speech and a driver, and how to animate with them."""

    def __init__(self, folder: Path) -> None:
        dataset = write_dataset(folder / "dataset")
        self.avatar = write_avatar(folder / "avatar", dataset)
        save_head_model(self.avatar / "head_model.npz", make_head_model())
        fit_motion_model(dataset, FitMotionOptions(), self.avatar / "motion_model", silent)
        self.opening = make_opening(N_FRAMES, seed=9)
        self.speech = folder / "speech.wav"
        write_wav(self.speech, make_speech(self.opening, seed=9))
        self.driver = write_dataset(folder / "driver", seed=4)
        arrays = read_arrays(self.driver / "tracking.npz", TRACKING_TABLE)
        self.raised = 0.02 * np.sin(np.arange(250) / 7).astype(np.float32)
        arrays["expr"][:, BROW] = self.raised
        write_arrays(self.driver / "tracking.npz", arrays, TRACKING_TABLE)

    def say(self, out: Path, **options: object) -> Tracks:
        """Animate and read the motion."""
        animate_avatar(
            self.avatar, self.speech, AnimateOptions.model_validate(options), out, silent
        )
        return motion_tracks(read_arrays(out / "motion.npz", MOTION_TABLE))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Made once."""
    return Stage(tmp_path_factory.mktemp("stage"))


def test_brows_follow_the_driver_and_the_mouth_the_sound(stage: Stage, tmp_path: Path) -> None:
    """A mix per region, which the manifest tells of."""
    motion = stage.say(tmp_path, driver=stage.driver, driven=("brows",))

    assert np.corrcoef(motion["expr"][5:110, BROW], stage.raised[5:110])[0, 1] > 0.85
    assert np.corrcoef(motion["jaw_pose"][:, 0], stage.opening)[0, 1] > 0.8
    assert ("brows",) == read_manifest(tmp_path, MotionManifest).driven_regions


def test_a_video_drives_the_whole_face_and_head(stage: Stage, tmp_path: Path) -> None:
    """The driver's mouth, and its head about the avatar's own place."""
    motion = stage.say(
        tmp_path,
        driver=stage.driver,
        driven=("mouth", "brows", "eyes"),
        pose_source="driver",
    )

    theirs = make_tracks(make_opening(250, 4), 4)
    assert np.corrcoef(motion["jaw_pose"][5:110, 0], theirs["jaw_pose"][5:110, 0])[0, 1] > 0.9
    assert np.corrcoef(motion["rotation"][5:110, 0], theirs["rotation"][5:110, 0])[0, 1] > 0.95
    assert "driver" == read_manifest(tmp_path, MotionManifest).pose_source


def test_a_motion_drives_too(stage: Stage, tmp_path: Path) -> None:
    """Its own motion as driver comes back, within the range the avatar saw."""
    first = stage.say(tmp_path / "first")

    second = stage.say(
        tmp_path / "second", driver=tmp_path / "first", driven=("mouth",), pose_source="fixed"
    )

    moved = second["jaw_pose"][10:100, 0]
    assert np.corrcoef(first["jaw_pose"][10:100, 0], moved)[0, 1] > 0.95


def test_an_avatar_is_no_driver(stage: Stage, tmp_path: Path) -> None:
    """And the message says what is."""
    with pytest.raises(InvalidInput, match="talksplat preprocess") as refused:
        stage.say(tmp_path, driver=stage.avatar, driven=("brows",))

    assert "not_an_artifact" == refused.value.code


def test_gain_and_smoothing_stay_in_their_region(stage: Stage, tmp_path: Path) -> None:
    """Brows move less far, the head is calmer, the mouth is untouched."""
    plain = stage.say(tmp_path / "plain")

    motion = stage.say(tmp_path / "told", gains={"brows": 0.5}, smoothing_s={"head": 0.5})

    spread = plain["expr"][:, BROW].std()
    assert 0.5 * spread == pytest.approx(motion["expr"][:, BROW].std(), rel=1e-3)
    np.testing.assert_allclose(plain["jaw_pose"], motion["jaw_pose"], atol=1e-6)
    faster, slower = (np.abs(np.diff(each["rotation"], axis=0)).max() for each in (plain, motion))
    assert slower < faster


def test_a_mouth_without_gain_stays_closed(stage: Stage, tmp_path: Path) -> None:
    """Gain zero is the closed mouth, throughout."""
    motion = stage.say(tmp_path, gains={"mouth": 0.0})

    assert np.ptp(motion["jaw_pose"][:, 0]) < 1e-5


@pytest.mark.parametrize(("rate", "n_blinks"), [(0.0, 0), (60.0, 3)])
def test_blinks_come_as_often_as_told(
    stage: Stage, tmp_path: Path, rate: float, n_blinks: int
) -> None:
    """None at all, or one about every second."""
    motion = stage.say(tmp_path, blinks_per_minute=rate)

    closure = motion["expr"][:, LIDS].mean(axis=1) > 0.4
    starts = int(np.diff(closure.astype(int)).clip(0).sum())
    assert starts >= n_blinks
    assert (starts == 0) == (n_blinks == 0)


def test_head_turns_as_the_keyframes_say(stage: Stage, tmp_path: Path) -> None:
    """Twenty degrees to the left after two seconds, held to the end."""
    path = tmp_path / "turn.csv"
    path.write_text("seconds,yaw,y\n0,0,0\n2,20,0.01\n")

    motion = stage.say(tmp_path / "motion", pose_source="keyframes", pose_keyframes=path)

    start, end = Rotation.from_rotvec(motion["rotation"][[0, -1]])
    assert 20.0 == pytest.approx(np.degrees((end * start.inv()).magnitude()), abs=0.1)
    assert motion["rotation"][-1, 1] > motion["rotation"][0, 1]
    assert 0.01 == pytest.approx(np.ptp(motion["translation"][:, 1]), abs=1e-4)


def test_one_keyframe_holds_the_head(tmp_path: Path) -> None:
    """As a still does."""
    path = tmp_path / "still.csv"
    path.write_text("seconds,roll\n1,10\n")
    shown = make_tracks(make_opening(50))

    pose = pose_from_keyframes(read_keyframes(path), shown, fps=FPS, n_frames=30)

    assert (30, 3) == pose["rotation"].shape
    assert np.ptp(pose["rotation"], axis=0).max() < 1e-6


@pytest.mark.parametrize(
    "text",
    ["", "yaw\n1\n", "seconds,jaw\n0,1\n", "seconds,yaw\n1,0\n0,0\n", "seconds,yaw\n0,x\n"],
)
def test_other_tables_are_refused(tmp_path: Path, text: str) -> None:
    """With a code."""
    path = tmp_path / "keyframes.csv"
    path.write_text(text)

    with pytest.raises(InvalidInput) as refused:
        read_keyframes(path)

    assert "bad_keyframes" == refused.value.code


@pytest.mark.parametrize(
    "options",
    [
        {"pose_source": "keyframes"},
        {"driven": ("brows",)},
        {"driver": "somebody"},
        {"pose_source": "driver"},
        {"driver": "somebody", "driven": ("head",)},
        {"gains": {"nose": 1.0}},
    ],
)
def test_directions_that_lack_something_are_refused(options: dict[str, object]) -> None:
    """Before anything is computed."""
    with pytest.raises(ValidationError):
        AnimateOptions.model_validate(options)
