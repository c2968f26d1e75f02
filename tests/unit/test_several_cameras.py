"""Training on several cameras: poses belong to moments, pictures to cameras."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.embedded.exchange.avatar_views import cameras_of
from services.embedded.exchange.vhap_import import import_vhap
from services.trainer.options import TrainOptions
from services.trainer.registration import register_training
from services.trainer.run import Run
from services.trainer.train import prepare_run, train_avatar
from shared.avatar_method import TrainableModel
from shared.avatar_methods import rigged_gaussians
from shared.avatar_store import load_avatar
from shared.contracts.artifact import read_arrays
from shared.contracts.tracked_dataset import VIEWS_TABLE
from shared.dataset_reader import open_dataset
from shared.dataset_views import read_views
from shared.errors import InvalidInput
from shared.progress import silent
from tests.vhap_tree import N_TRAIN, write_vhap_tree

OPTIONS = TrainOptions(
    preset="draft",
    max_steps=60,
    max_gaussians=5000,
    method_options={"init": "faces", "sh_degree": 1, "n_expression_codes": 2},
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras to train on, one for validation."""
    folder = tmp_path_factory.mktemp("views")
    write_vhap_tree(folder / "tree")
    import_vhap(folder / "tree", folder / "dataset", folder, silent)
    return folder / "dataset"


@pytest.fixture
def run(dataset: Path) -> Run:
    """Everything before the first step."""
    return prepare_run(open_dataset(dataset), rigged_gaussians, OPTIONS)[0]


def make_model(run: Run) -> TrainableModel:
    """Gaussians on every face."""
    return rigged_gaussians.create(run.subject, [], OPTIONS.method_options, 0)


def test_poses_belong_to_moments(run: Run) -> None:
    """As many as there are moments, whatever the number of cameras."""
    assert N_TRAIN == len(run.subject.training_pose.expr) == len(run.subject.training_body)
    assert 2 * N_TRAIN == len(run.train) + len(run.validation)
    assert sorted({run.moment(frame) for frame in run.train}) == [m for m, _ in run.moments()]
    assert all(0 < len(frames) <= 2 for _, frames in run.moments())


def test_each_frame_is_drawn_by_its_own_camera(run: Run) -> None:
    """The first is the capture's; colours know where the camera is."""
    model = make_model(run)
    condition = model.training_condition(0)
    with torch.no_grad():
        front, side = (run.draw(model, condition, frame).colors for frame in (0, 1))
        again = run.studio.draw_condition(model, condition).colors

    torch.testing.assert_close(again, front)
    assert float((front - side).abs().mean()) > 0.01


def test_registration_moves_moments_by_all_their_pictures(run: Run) -> None:
    """One correction for both cameras."""
    model = make_model(run)

    register_training(run, model, silent)

    moved = model.placements()[0].detach().abs().sum(1)
    assert N_TRAIN == len(moved)
    assert bool((moved[[moment for moment, _ in run.moments()]] > 0).all())


def test_several_cameras_train_an_avatar(dataset: Path, tmp_path: Path) -> None:
    """From end to end, with harmonics and a Gaussian on every face kept."""
    manifest = train_avatar(dataset, OPTIONS, tmp_path / "avatar", silent)

    _, subject, model = load_avatar(tmp_path / "avatar")
    bound = model.tensors()["binding"]  # type: ignore[attr-defined]  # a rigged avatar's
    assert len(subject.head_model.faces) == len(bound.unique())
    assert manifest.n_gaussians == len(bound)
    assert (tmp_path / "avatar" / "heldout_pose.npz").is_file()


def test_all_cameras_of_a_dataset_are_exported(dataset: Path) -> None:
    """By their names, the capture's first."""
    views = cameras_of(dataset)

    assert ["cam1", "cam0", "cam2"] == [view.name for view in views]
    assert not torch.equal(views[0].viewmat, views[1].viewmat)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("cameras", 4, 9, "names cameras beyond"),
        ("cameras", -1, 1, "holds out frames of another camera"),
        ("timesteps", 3, 0, "does not show every moment"),
    ],
)
def test_views_that_contradict_themselves_are_refused(
    dataset: Path, tmp_path: Path, name: str, place: int, value: int, message: str
) -> None:
    """Before a training counts on them."""
    opened = open_dataset(dataset)
    arrays = dict(read_arrays(dataset / "views.npz", VIEWS_TABLE))
    changed = np.array(arrays[name], np.int32)
    changed[place] = value
    np.savez(tmp_path / "views.npz", **(arrays | {name: changed}))

    with pytest.raises(InvalidInput, match=message) as refused:
        read_views(opened._replace(folder=tmp_path))

    assert "bad_arrays" == refused.value.code
