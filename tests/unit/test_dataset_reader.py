"""A tracked dataset is read lazily and checked against its contract."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.artifact import write_arrays, write_manifest
from shared.contracts.tracked_dataset import TRACKING_TABLE, TrackedDatasetManifest
from shared.dataset_reader import (
    open_dataset,
    read_dataset_audio,
    read_frame,
    read_matte,
    read_plate,
    read_regions,
    valid_frames,
)
from shared.errors import InvalidInput
from shared.media.audio import write_wav
from shared.media.image import write_jpeg, write_png

U8 = NDArray[np.uint8]

N_FRAMES, SIZE = 4, 16
SIZES = {"T": N_FRAMES, "E": 2, "K": 3}


def flat(level: int) -> U8:
    """A plain picture. [SIZE, SIZE, 3]"""
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def write_dataset(folder: Path, n_frames: int = N_FRAMES, *, has_audio: bool = True) -> Path:
    """Write a dataset of plain pictures whose levels tell their frames."""
    for name in ("frames", "mattes", "regions"):
        (folder / name).mkdir(parents=True)
    for frame in range(N_FRAMES):
        write_jpeg(folder / "frames" / f"{frame:06d}.jpg", flat(50 * frame))
        write_png(folder / "mattes" / f"{frame:06d}.png", flat(50 * frame + 1)[..., 0])
        write_png(folder / "regions" / f"{frame:06d}.png", flat(frame)[..., 0])
    write_png(folder / "plate.png", flat(77))
    if has_audio:
        write_wav(folder / "audio.wav", np.full(N_FRAMES * 640, 0.25, np.float32))
    arrays = {
        name: np.zeros([SIZES[s] if isinstance(s, str) else s for s in column.shape], column.dtype)
        for name, column in TRACKING_TABLE.items()
    }
    arrays["is_valid"] = np.array([True, False, True, True])
    write_arrays(folder / "tracking.npz", arrays, TRACKING_TABLE)
    manifest = TrackedDatasetManifest(
        n_frames=n_frames,
        n_train=3,
        capture_sha256="0" * 64,
        capture_width=SIZE,
        capture_height=SIZE,
        crop_size=SIZE,
        head_model="open_head",
        expression_names=["a", "b"],
        tracker="mediapipe_mesh",
        has_audio=has_audio,
        audio_offset_ms=None,
        warnings=[],
        rejected=[],
    )
    write_manifest(folder, manifest)
    return folder


def test_pictures_are_read_by_frame(tmp_path: Path) -> None:
    """Each reader returns its own kind of picture of the frame asked for."""
    dataset = open_dataset(write_dataset(tmp_path / "d"))

    assert np.abs(read_frame(dataset, 3).astype(int) - 150).max() <= 1
    assert 101 == read_matte(dataset, 2)[0, 0]
    assert 1 == read_regions(dataset, 1)[0, 0]
    assert 77 == read_plate(dataset)[0, 0, 0]


def test_sound_is_on_the_frames_clock(tmp_path: Path) -> None:
    """640 samples per frame."""
    audio = read_dataset_audio(open_dataset(write_dataset(tmp_path / "d")))

    assert audio is not None
    assert N_FRAMES * 640 == audio.size


def test_no_sound_is_none(tmp_path: Path) -> None:
    """A dataset without audio.wav says so."""
    assert read_dataset_audio(open_dataset(write_dataset(tmp_path / "d", has_audio=False))) is None


def test_rejected_frames_are_left_out(tmp_path: Path) -> None:
    """Frame 1 is not valid."""
    dataset = open_dataset(write_dataset(tmp_path / "d"))

    assert [0, 2] == valid_frames(dataset, 0, 3)


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path: Path) -> None:
    """An unfinished attempt is refused."""
    folder = write_dataset(tmp_path / "d")
    (folder / "manifest.json").unlink()

    with pytest.raises(InvalidInput) as refused:
        open_dataset(folder)

    assert "not_an_artifact" == refused.value.code


def test_manifest_and_arrays_must_agree(tmp_path: Path) -> None:
    """A manifest that counts other frames than the arrays is refused."""
    folder = write_dataset(tmp_path / "d", n_frames=N_FRAMES + 1)

    with pytest.raises(InvalidInput) as refused:
        open_dataset(folder)

    assert "bad_arrays" == refused.value.code
