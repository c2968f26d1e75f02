"""A training on a dataset that lacks something says what, and writes nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.trainer.options import TrainOptions
from services.trainer.train import train_avatar
from shared.contracts.artifact import read_manifest, write_manifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.errors import InvalidInput
from shared.plugins import plugin_names
from shared.progress import silent
from tests.tracked_person import write_tracked_dataset

METHODS = plugin_names("shared.avatar_methods")
LISTENERS = ("gaussian_talker", "surfel_talker", "talking_gaussian")


def without_masks(dataset: Path) -> None:
    """A folder of masks was not copied."""
    shutil.rmtree(dataset / "mattes")


def without_one_picture(dataset: Path) -> None:
    """One frame was lost."""
    (dataset / "frames" / "000005.jpg").unlink()


def without_expressions(dataset: Path) -> None:
    """The tracked blendshapes are not in the table."""
    with np.load(dataset / "tracking.npz") as arrays:
        kept = {name: arrays[name] for name in arrays if name != "expr"}
    np.savez(dataset / "tracking.npz", **kept)


def with_one_frame(dataset: Path) -> None:
    """All frames but one were cut away."""
    with np.load(dataset / "tracking.npz") as arrays:
        rows = len(arrays["is_valid"])
        kept = {
            name: values[:1] if len(values) == rows else values for name, values in arrays.items()
        }
    np.savez(dataset / "tracking.npz", **kept)
    manifest = read_manifest(dataset, TrackedDatasetManifest)
    write_manifest(dataset, manifest.model_copy(update={"n_frames": 1, "n_train": 1}))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        (without_masks, "incomplete_dataset", "mattes lacks 31 of 31"),
        (without_one_picture, "incomplete_dataset", "the first is 000005.jpg"),
        (without_expressions, "bad_arrays", "expr"),
        (with_one_frame, "too_short", "film longer"),
    ],
)
def test_it_is_refused(
    tmp_path: Path, method: str, spoil: Callable[[Path], None], code: str, told: str
) -> None:
    """A typed error names what is missing and what to do."""
    dataset = write_tracked_dataset(tmp_path / "dataset", has_sound=True)
    spoil(dataset)

    with pytest.raises(InvalidInput, match=told) as refused:
        train_avatar(dataset, TrainOptions(method=method), tmp_path / "avatar", silent)

    assert code == refused.value.code
    assert not (tmp_path / "avatar").exists()


@pytest.mark.parametrize("method", [name for name in METHODS if name in LISTENERS])
def test_lost_sound_is_refused(tmp_path: Path, method: str) -> None:
    """The manifest tells of sound that is not there."""
    dataset = write_tracked_dataset(tmp_path / "dataset", has_sound=True)
    (dataset / "audio.wav").unlink()

    with pytest.raises(InvalidInput, match=r"audio\.wav") as refused:
        train_avatar(dataset, TrainOptions(method=method), tmp_path / "avatar", silent)

    assert "unreadable_media" == refused.value.code
    assert not (tmp_path / "avatar").exists()
