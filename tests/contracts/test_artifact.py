"""Artifact folders: the manifest comes last, arrays are what their table says."""

from pathlib import Path

import numpy as np
import pytest

from shared.contracts.artifact import (
    MANIFEST,
    Column,
    read_arrays,
    read_manifest,
    write_arrays,
    write_manifest,
)
from shared.contracts.motion import MotionManifest
from shared.contracts.video import VideoManifest
from shared.errors import InvalidInput

TABLE = {
    "means": Column("float32", ("N", 3), "m", "centres"),
    "opacities": Column("float32", ("N",), "1", "opacities"),
}


def _motion() -> MotionManifest:
    return MotionManifest(
        fps=25,
        n_frames=2,
        head_model="open_head",
        expression_names=["jawOpen"],
        motion_model="tracked",
        audio_encoder=None,
        pose_source="tracked",
    )


def _refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_arrays(path, TABLE)
    return refusal.value.code


def test_a_manifest_names_the_digest_of_every_file(tmp_path: Path) -> None:
    """Files of subfolders too, unfinished ones not."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("a")
    (tmp_path / "b.part").write_text("half")

    write_manifest(tmp_path, _motion())

    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert {"sub/a.txt": digest} == read_manifest(tmp_path, MotionManifest).files


def test_equal_folders_have_equal_manifests(tmp_path: Path) -> None:
    """No time stamp, no path."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("a")
        write_manifest(tmp_path / name, _motion())

    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "motion"}', '{"kind": "video"}', "\x00"])
def test_a_malformed_manifest_is_refused(text: str, tmp_path: Path) -> None:
    """Whatever is wrong with it."""
    (tmp_path / MANIFEST).write_text(text)

    with pytest.raises(InvalidInput) as refusal:
        read_manifest(tmp_path, MotionManifest)

    assert "not_an_artifact" == refusal.value.code


def test_an_artifact_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A motion is no video."""
    write_manifest(tmp_path, _motion())

    with pytest.raises(InvalidInput) as refusal:
        read_manifest(tmp_path, VideoManifest)

    assert "not_an_artifact" == refusal.value.code


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    """Types and values."""
    arrays = {"means": np.ones((4, 3), np.float32), "opacities": np.zeros(4, np.float32)}

    write_arrays(tmp_path / "a.npz", arrays, TABLE)

    found = read_arrays(tmp_path / "a.npz", TABLE)
    assert set(arrays) == set(found)
    assert np.array_equal(arrays["means"], found["means"])


@pytest.mark.parametrize(
    "arrays",
    [
        {"means": np.ones((4, 3), np.float32)},
        {"means": np.ones((4, 3), np.float64), "opacities": np.zeros(4, np.float32)},
        {"means": np.ones((4, 2), np.float32), "opacities": np.zeros(4, np.float32)},
        {"means": np.ones((4, 3), np.float32), "opacities": np.zeros(5, np.float32)},
        {"means": np.ones(3, np.float32), "opacities": np.zeros(4, np.float32)},
    ],
)
def test_arrays_that_break_their_table_are_refused(
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]], tmp_path: Path
) -> None:
    """Missing, of another type, of another shape, of sizes that disagree."""
    np.savez(tmp_path / "a.npz", **arrays)

    assert "bad_arrays" == _refusal(tmp_path / "a.npz")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    """Loading one could run code."""
    evil = np.array([{"run": "me"}], dtype=object)
    np.savez(tmp_path / "a.npz", means=evil, opacities=evil)

    assert "bad_arrays" == _refusal(tmp_path / "a.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Such as a truncated download."""
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and then nothing")

    assert "bad_arrays" == _refusal(tmp_path / "a.npz")
