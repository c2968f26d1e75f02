"""Training on a small made-up person: it learns, repeats itself, and survives a kill."""

import json
from pathlib import Path

import numpy as np
import pytest

from services.trainer.options import TrainOptions
from services.trainer.train import prepare_run, train_avatar
from shared.avatar_methods import rigged_gaussians
from shared.avatar_store import TENSORS, load_avatar
from shared.contracts.artifact import MANIFEST, read_arrays, read_manifest
from shared.contracts.avatar import HELDOUT_TABLE, AvatarManifest
from shared.contracts.tracked_dataset import TRACKING_TABLE
from shared.dataset_reader import open_dataset
from shared.errors import InvalidInput
from shared.progress import silent
from tests.tracked_person import write_tracked_dataset

N_STEPS = 75
N_HELDOUT = 2
OPTIONS = TrainOptions(preset="draft", max_steps=N_STEPS, max_gaussians=700, seed=4)
KILLED_AT = 40
"""Steps done when the training is killed; no checkpoint is saved at this one."""
KILL_FRACTION = 0.5


class KilledError(Exception):
    """The process was killed."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up person."""
    return write_tracked_dataset(tmp_path_factory.mktemp("train") / "dataset", n_heldout=N_HELDOUT)


@pytest.fixture(scope="module")
def avatar(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar trained in one go."""
    out = tmp_path_factory.mktemp("avatar")
    train_avatar(dataset, OPTIONS, out, silent)
    return out


def kill(fraction: float, message: str) -> None:
    """End the training in its second half, as a kill would."""
    if message.startswith("training") and fraction > KILL_FRACTION:
        raise KilledError


def test_training_shows_the_person_better(avatar: Path) -> None:
    """The validation frame's error falls, and the avatar can be loaded."""
    curve = json.loads((avatar / "curve.json").read_text(encoding="utf-8"))

    manifest, _, _ = load_avatar(avatar)

    assert N_STEPS == curve[-1]["step"] == manifest.n_steps
    assert curve[-1]["psnr_db"] > curve[0]["psnr_db"] + 2
    assert curve[-1]["ssim"] > curve[0]["ssim"]
    assert 600 < manifest.n_gaussians <= 700


def test_the_folder_holds_what_the_contract_says(avatar: Path) -> None:
    """Every file is hashed; checkpoints are gone."""
    names = set(read_manifest(avatar, AvatarManifest).files)

    previews = {name for name in names if name.startswith("previews/")}
    assert 10 == len(previews)
    expected = {
        "curve.json", TENSORS, "head_model.npz", "heldout_pose.npz", "plate.png", "tracking.npz",
    }  # fmt: skip
    assert expected == names - previews
    assert expected | {"previews", MANIFEST} == {path.name for path in avatar.iterdir()}


def test_a_killed_training_resumes_to_the_same_bytes(
    dataset: Path, avatar: Path, tmp_path: Path
) -> None:
    """All files are equal, and at most five percent of the steps are taken again."""
    with pytest.raises(KilledError):
        train_avatar(dataset, OPTIONS, tmp_path, kill)
    saved = json.loads((tmp_path / "checkpoints" / "latest.json").read_text(encoding="utf-8"))
    assert not (tmp_path / MANIFEST).exists()
    assert 0 < KILLED_AT - saved["step"] <= 0.05 * N_STEPS
    resumed_at: list[float] = []

    train_avatar(
        dataset,
        OPTIONS,
        tmp_path,
        lambda fraction, message: resumed_at.append(fraction) if "Gauss" in message else None,
    )

    assert resumed_at[0] > KILL_FRACTION
    names = read_manifest(avatar, AvatarManifest).files
    assert names == read_manifest(tmp_path, AvatarManifest).files
    assert (avatar / MANIFEST).read_bytes() == (tmp_path / MANIFEST).read_bytes()


def test_heldout_pictures_do_not_change_the_avatar(
    dataset: Path, avatar: Path, tmp_path: Path
) -> None:
    """Black held-out frames give the same Gaussians; a second training is equal to the bit."""
    black = write_tracked_dataset(tmp_path / "black", n_heldout=N_HELDOUT, is_heldout_black=True)
    frame = "frames/000029.jpg"
    assert (black / frame).read_bytes() != (dataset / frame).read_bytes()

    train_avatar(black, OPTIONS, tmp_path / "out", silent)

    for name in (TENSORS, "curve.json", "tracking.npz"):
        assert (avatar / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_the_seed_decides(dataset: Path, tmp_path: Path) -> None:
    """Equal seeds give equal bytes, another one gives another avatar."""
    options = OPTIONS.model_copy(update={"seed": 5, "max_steps": 2})
    same = OPTIONS.model_copy(update={"max_steps": 2})

    for name, chosen in (("one", same), ("again", same), ("other", options)):
        train_avatar(dataset, chosen, tmp_path / name, silent)

    one, again, other = (
        (tmp_path / name / TENSORS).read_bytes() for name in ("one", "again", "other")
    )
    assert one == again
    assert one != other


def test_the_heldout_head_pose_stays_near_the_tracked_one(dataset: Path, avatar: Path) -> None:
    """Tracking is without error here; a hasty avatar moves it by little."""
    refined = read_arrays(avatar / "heldout_pose.npz", HELDOUT_TABLE)
    tracked = read_arrays(dataset / "tracking.npz", TRACKING_TABLE)

    assert N_HELDOUT == len(refined["rotation"])
    turn = np.abs(np.subtract(refined["rotation"], tracked["rotation"][-N_HELDOUT:]))
    shift = np.abs(np.subtract(refined["translation"], tracked["translation"][-N_HELDOUT:]))
    assert turn.max() < 0.05
    assert shift[:, :2].max() < 0.005


def test_without_holdout_there_is_no_refined_pose(tmp_path: Path) -> None:
    """Nothing is left to refine."""
    dataset = write_tracked_dataset(tmp_path / "dataset", n_heldout=0)
    options = OPTIONS.model_copy(update={"max_steps": 1})

    train_avatar(dataset, options, tmp_path / "avatar", silent)

    assert not (tmp_path / "avatar" / "heldout_pose.npz").exists()


def test_too_few_frames_are_refused(tmp_path: Path) -> None:
    """A second of frames is the least."""
    dataset = write_tracked_dataset(tmp_path / "dataset", n_train=24, n_heldout=1)

    with pytest.raises(InvalidInput, match="24 usable training frames") as refused:
        train_avatar(dataset, OPTIONS, tmp_path / "avatar", silent)

    assert "too_short" == refused.value.code


def test_a_long_capture_is_thinned_evenly(tmp_path: Path) -> None:
    """Registration costs as much per frame as many steps; what no step would see is left out."""
    dataset = write_tracked_dataset(tmp_path / "dataset", n_train=64, n_heldout=1)

    run, _ = prepare_run(open_dataset(dataset), rigged_gaussians, OPTIONS)

    assert 37 == len(run.train)
    assert {1, 2} == set(np.diff(run.train)) - {3}
    assert (0, 63) == (run.train[0], run.train[-1])
