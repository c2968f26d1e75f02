"""Motions of other faces and of ARKit for an avatar."""

import csv
from pathlib import Path

import numpy as np
import pytest

from services.audio2motion.tracks import motion_tracks
from services.embedded.exchange.arkit_csv import COLUMNS, export_arkit, import_arkit, unit_name
from services.embedded.exchange.driven_motion import import_performance, import_vertices
from shared.contracts.artifact import read_arrays, write_arrays, write_manifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.errors import InvalidInput
from shared.head_model import save_head_model
from tests.spoken_dataset import (
    FPS,
    NAMES,
    make_head_model,
    make_opening,
    make_tracks,
    write_avatar,
    write_dataset,
)
from tests.unit.test_retarget import mesh_of


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up speaker's."""
    folder = tmp_path_factory.mktemp("avatar")
    avatar = write_avatar(folder / "avatar", write_dataset(folder / "dataset"))
    save_head_model(avatar / "head_model.npz", make_head_model())
    return avatar


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of that speaker, gaze straight."""
    folder = tmp_path_factory.mktemp("motion")
    tracks = make_tracks(make_opening(100))
    write_arrays(folder / "motion.npz", tracks, MOTION_TABLE)
    manifest = MotionManifest(
        fps=FPS,
        n_frames=100,
        head_model="open_head",
        expression_names=NAMES,
        motion_model="tracked",
        audio_encoder=None,
        pose_source="tracked",
    )
    write_manifest(folder, manifest)
    return folder


def read(folder: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """The tracks of a motion."""
    return motion_tracks(read_arrays(folder / "motion.npz", MOTION_TABLE))


def test_arkit_out_and_in(avatar: Path, motion: Path, tmp_path: Path) -> None:
    """Jaw, lids and turns of the head survive the table."""
    export_arkit(motion, tmp_path / "take.csv")

    import_arkit(tmp_path / "take.csv", avatar, FPS, tmp_path / "motion")

    before, after = read(motion), read(tmp_path / "motion")
    for name, column in (("jaw_pose", 0), ("expr", 1), ("rotation", 1)):
        pair = before[name][:, column], after[name][:, column]
        assert np.corrcoef(*pair)[0, 1] > 0.98
    turned = before["rotation"] - np.median(before["rotation"], axis=0)
    np.testing.assert_allclose(np.ptp(turned, axis=0), np.ptp(after["rotation"], axis=0), atol=1e-4)


def test_columns_are_those_of_live_link_face(motion: Path, tmp_path: Path) -> None:
    """52 coefficients and nine angles after the time code, which counts frames."""
    export_arkit(motion, tmp_path / "take.csv")

    with (tmp_path / "take.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert list(COLUMNS) == rows[0]
    assert ["Timecode", "BlendshapeCount", "EyeBlinkLeft"] == rows[0][:3]
    assert ["TongueOut", "HeadYaw"] == rows[0][53:55]
    assert (63, 101) == (len(rows[0]), len(rows))
    assert ["00:00:03:24.000", "61"] == rows[100][:2]


@pytest.mark.parametrize(
    ("column", "unit"),
    [("EyeBlinkLeft", "eyeBlink_L"), ("MouthLeft", "mouthLeft"), ("JawOpen", "jawOpen")],
)
def test_names_of_units(column: str, unit: str) -> None:
    """Only pairs have a side."""
    assert unit == unit_name(column)


@pytest.mark.parametrize("text", ["", "JawOpen\n", "a,b\n1,2\n", "JawOpen\nx\n", "JawOpen\nnan\n"])
def test_other_tables_are_refused(avatar: Path, tmp_path: Path, text: str) -> None:
    """With a code."""
    (tmp_path / "take.csv").write_text(text)

    with pytest.raises(InvalidInput) as refused:
        import_arkit(tmp_path / "take.csv", avatar, FPS, tmp_path / "motion")

    assert "bad_exchange_file" == refused.value.code


def test_a_moving_mesh_becomes_a_motion(avatar: Path, motion: Path, tmp_path: Path) -> None:
    """The jaw of the mesh is the avatar's."""
    tracks = read(motion)
    coefficients = np.concatenate([tracks["expr"], tracks["jaw_pose"], tracks["eyes_pose"]], axis=1)
    vertices, neutral = mesh_of(make_head_model(), coefficients)
    np.savez(tmp_path / "spoken.npz", vertices=vertices, neutral=neutral)

    made = import_vertices(tmp_path / "spoken.npz", avatar, 30, tmp_path / "motion")

    found = read(tmp_path / "motion")["jaw_pose"][:, 0]
    assert (30, 100) == (made.fps, made.n_frames)
    assert np.corrcoef(tracks["jaw_pose"][:, 0], found)[0, 1] > 0.98


def test_a_file_without_a_mesh_is_refused(avatar: Path, tmp_path: Path) -> None:
    """Naming what is not there."""
    np.savez(tmp_path / "spoken.npz", vertices=np.zeros((2, 3, 3), np.float32))

    with pytest.raises(InvalidInput, match="neutral") as refused:
        import_vertices(tmp_path / "spoken.npz", avatar, 30, tmp_path / "motion")

    assert "bad_exchange_file" == refused.value.code


def test_one_avatar_performs_another_s_motion(avatar: Path, motion: Path, tmp_path: Path) -> None:
    """Face and head."""
    import_performance(motion, avatar, avatar, tmp_path / "motion")

    before, after = read(motion), read(tmp_path / "motion")
    assert np.corrcoef(before["jaw_pose"][:, 0], after["jaw_pose"][:, 0])[0, 1] > 0.98
    np.testing.assert_allclose(before["rotation"], after["rotation"], atol=1e-5)
