"""Datasets of VHAP come in, of one camera or several, and go out again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from services.embedded.exchange.vhap_export import export_vhap
from services.embedded.exchange.vhap_format import VhapFrame, read_transforms
from services.embedded.exchange.vhap_import import import_vhap, plan_rows
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import open_dataset, read_frame, read_matte, read_regions
from shared.dataset_views import read_views
from shared.errors import InvalidInput
from shared.geometry.cameras import project
from shared.head_model import HeadPose, load_head_model, neutral_vertices, pose_vertices
from shared.media.image import read_rgb
from shared.progress import silent
from tests.foreign_files import parse_npz
from tests.tracked_person import SIDE, write_tracked_dataset
from tests.vhap_tree import LEFT, N_TEST, N_TRAIN, WIDTH, Tree, write_vhap_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Three cameras, fifteen moments."""
    return write_vhap_tree(tmp_path_factory.mktemp("vhap") / "tree")


@pytest.fixture(scope="module")
def imported(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as a tracked dataset."""
    out = tmp_path_factory.mktemp("imported") / "dataset"
    import_vhap(tree.folder, out, out, silent)
    return out


def test_frames_are_ordered_by_moment_and_camera(imported: Path) -> None:
    """The facing camera first; the validation camera is not trained on; test is held out."""
    dataset = open_dataset(imported)

    views = read_views(dataset)

    assert ("cam1", "cam0", "cam2") == views.camera_ids
    assert (3 * N_TRAIN, 3 * N_TRAIN + N_TEST) == (dataset.manifest.n_train, len(views.cameras))
    assert [0, 1, 2] * N_TRAIN + [0] * N_TEST == views.cameras.tolist()
    train = np.repeat(np.arange(N_TRAIN), 3).tolist()
    assert train + list(range(N_TRAIN, N_TRAIN + N_TEST)) == views.timesteps.tolist()
    is_valid = np.asarray(dataset.tracking["is_valid"], bool)
    assert np.array_equal(
        (views.cameras != 2) | (np.arange(len(is_valid)) >= 3 * N_TRAIN), is_valid
    )
    assert N_TRAIN == len(dataset.manifest.rejected)


def test_pictures_lie_in_a_white_square(imported: Path, tree: Tree) -> None:
    """On white by the mask, in the middle; the crop tells where the picture was."""
    dataset = open_dataset(imported)
    source = read_rgb(tree.folder / "images" / "00004_01.png").astype(int)

    frame = read_frame(dataset, 3 * 4).astype(int)
    matte = read_matte(dataset, 3 * 4)

    assert (SIDE, SIDE, 3) == frame.shape
    assert [-LEFT, 0, SIDE] == dataset.tracking["crops"][0].tolist()
    assert (WIDTH, SIDE) == (dataset.manifest.capture_width, dataset.manifest.capture_height)
    inside = matte == 255
    assert frame[:, :LEFT].min() > 245
    assert np.abs(frame - np.pad(source, ((0, 0), (LEFT, LEFT), (0, 0))))[inside].mean() < 4
    assert frame[matte == 0].min() > 240


def test_cameras_show_the_person_where_the_pictures_do(imported: Path) -> None:
    """The mesh, posed and projected by what was stored, covers the matte of every camera."""
    dataset = open_dataset(imported)
    views = read_views(dataset)
    model = load_head_model(imported / "head_model.npz")
    shape = torch.from_numpy(dataset.tracking["shape"])
    neutral = neutral_vertices(model, shape)

    for row in (0, 1, 2, 3 * N_TRAIN + 1):
        pose = HeadPose(*(torch.from_numpy(dataset.tracking[n][[row]]) for n in HeadPose._fields))
        viewmat = torch.from_numpy(views.viewmats[views.cameras[row]])
        K = torch.from_numpy(dataset.tracking["Ks"][row])
        pixels = project(pose_vertices(model, neutral, pose)[0], viewmat, K).numpy()
        seen = pixels[(pixels > 1).all(1) & (pixels < SIDE - 1).all(1)].astype(int)
        matte = read_matte(dataset, row)
        inner = seen[(seen[:, 0] > LEFT + 1) & (seen[:, 0] < SIDE - LEFT - 2)]

        assert (matte[inner[:, 1], inner[:, 0]] > 0).mean() > 0.97, row
        marks = pixels[model.landmark_vertices]
        stored = dataset.tracking["landmarks"][row, :, :2].astype(np.float64)
        np.testing.assert_allclose(stored, marks, atol=1e-3)


def test_regions_come_from_the_mesh(imported: Path) -> None:
    """Lips are where the mesh's lips are; nothing outside of the person."""
    dataset = open_dataset(imported)

    labels, matte = read_regions(dataset, 0), read_matte(dataset, 0)

    assert {"lips", "eyes", "face", "hair", "torso"} <= {
        REGIONS[label] for label in np.unique(labels)
    }
    assert 0 == labels[matte == 0].max()
    lips = np.argwhere(labels == REGIONS.index("lips")).mean(0)
    mouth = dataset.tracking["landmarks"][0, [61, 291], :2].mean(0)
    assert np.abs(lips[::-1] - mouth).max() < 3


def test_a_dataset_of_several_cameras_goes_out_as_it_came(
    imported: Path, tree: Tree, tmp_path: Path
) -> None:
    """Same moments and splits, cameras to the last digits, parameters to the bit."""
    export_vhap(imported, tmp_path / "out", tmp_path, silent)

    for split in ("train", "val"):
        before, after = (
            read_transforms(folder, split) for folder in (tree.folder, tmp_path / "out")
        )
        told = {(f.timestep_index - 100, f.camera_id): f for f in before}
        assert told.keys() == {(f.timestep_index, f.camera_id) for f in after}
        for frame in after:
            same = told[frame.timestep_index, frame.camera_id]
            np.testing.assert_allclose(frame.transform_matrix, same.transform_matrix, atol=1e-5)
            assert frame.cx - LEFT == pytest.approx(same.cx, abs=1e-4)
            assert frame.fl_x == pytest.approx(same.fl_x, abs=1e-4)
    assert N_TEST == len(read_transforms(tmp_path / "out", "test"))
    one, other = (
        parse_npz(folder / "flame_param" / "00003.npz")
        for folder in (tree.folder, tmp_path / "out")
    )
    for name in ("expr", "rotation", "jaw_pose", "shape", "static_offset"):
        np.testing.assert_array_equal(one[name], other[name])
    canonical = parse_npz(tmp_path / "out" / "canonical_flame_param.npz")
    np.testing.assert_allclose(canonical["jaw_pose"], [[0.3, 0, 0]])
    assert 0.0 == np.abs(canonical["expr"]).max()


def test_a_dataset_of_one_camera_goes_round(tmp_path: Path) -> None:
    """Exported and imported: the same frames, poses and hold-out, and no second camera."""
    dataset = write_tracked_dataset(tmp_path / "d", n_train=26, n_heldout=2)
    export_vhap(dataset, tmp_path / "vhap", tmp_path, silent)

    manifest = import_vhap(tmp_path / "vhap", tmp_path / "back", tmp_path, silent)

    before, after = open_dataset(dataset), open_dataset(tmp_path / "back")
    assert (26, 28) == (manifest.n_train, manifest.n_frames)
    assert "views.npz" not in manifest.files
    for name in (*HeadPose._fields, "Ks", "shape", "viewmat"):
        expected, actual = (each.tracking[name].astype(np.float64) for each in (before, after))
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    inside = read_matte(before, 5) == 255
    error = np.abs(read_frame(after, 5).astype(int) - read_frame(before, 5))[inside]
    assert error.mean() < 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fg_mask_path": None}, "exchange_file_missing"),
        ({"flame_param_path": None}, "exchange_file_missing"),
        ({"file_path": "images/none.png"}, "exchange_file_missing"),
        ({"file_path": "../images/00000_00.png"}, "bad_exchange_file"),
        ({"w": 40}, "bad_exchange_file"),
        ({"fl_x": -1}, "bad_exchange_file"),
        ({"camera_index": 7}, "bad_exchange_file"),
    ],
)
def test_what_is_missing_or_wrong_is_refused(
    tree: Tree, tmp_path: Path, change: dict[str, object], code: str
) -> None:
    """Before anything is taken for an artifact."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for path in tree.folder.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "transforms_train.json").unlink()
    stored = json.loads((tree.folder / "transforms_train.json").read_text("utf-8"))
    for frame in stored["frames"]:
        frame.update(change if frame["timestep_index"] == 103 else {})
    (folder / "transforms_train.json").write_text(json.dumps(stored), "utf-8")

    with pytest.raises(InvalidInput) as refused:
        import_vhap(folder, tmp_path / "out", tmp_path, silent)

    assert code == refused.value.code
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_folder_without_transforms_is_refused(tmp_path: Path) -> None:
    """It is no such dataset."""
    with pytest.raises(InvalidInput, match=r"transforms_train\.json") as refused:
        import_vhap(tmp_path, tmp_path / "out", tmp_path, silent)

    assert "exchange_file_missing" == refused.value.code


def test_a_camera_that_misses_a_moment_does_not_lead() -> None:
    """However directly it looks."""

    def frame(time: int, camera: int, facing: float) -> VhapFrame:
        rows = np.eye(4)
        rows[2, 2] = facing
        return VhapFrame(
            timestep_index=time, camera_index=camera, w=4, h=4, fl_x=1, fl_y=1, cx=2, cy=2,
            transform_matrix=rows.tolist(), file_path="x",
        )  # fmt: skip

    plan = plan_rows([frame(0, 0, 1.0), frame(0, 1, 0.5), frame(1, 1, 0.5)], [], [])

    assert [1, 0] == plan.cameras
    assert [(0, 1), (0, 0), (1, 1)] == [(r.timestep, r.frame.camera_index) for r in plan.rows]
