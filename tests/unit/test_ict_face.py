"""ICT FaceKit: its rig made of blendshapes, and its published folder packed into one file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.embedded.cli import run_command
from shared.contracts.artifact import Column
from shared.errors import InvalidInput, MissingModel
from shared.head_model import HeadModel, HeadPose, landmarks_on, pose_vertices
from shared.head_models import ict_face, open_head
from shared.landmarks import LIPS
from shared.progress import silent
from shared.scanned_heads.ict_facekit import FILE, ICT_TABLE, PARTS
from shared.scanned_heads.ict_import import pack_ict
from tests.head_files import ICT_UNITS, JAW_OPEN_RAD, write_ict

Floats = NDArray[np.float64]

N_SMALL = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the packed file."""
    path = tmp_path_factory.mktemp("models")
    write_ict(path)
    return path


@pytest.fixture(scope="module")
def head(folder: Path) -> HeadModel:
    """The head read from it."""
    return ict_face.build(folder)


def opened(head: HeadModel, angle: float) -> torch.Tensor:
    """The mean head with its jaw turned. [V, 3]"""
    zero = torch.zeros(1, 3)
    pose = HeadPose(
        torch.zeros(1, len(head.expression_names)),
        rotation=zero,
        neck_pose=zero,
        jaw_pose=torch.tensor([[angle, 0.0, 0.0]]),
        eyes_pose=torch.zeros(1, 6),
        translation=zero,
    )
    return pose_vertices(head, head.template, pose)[0]


def test_the_full_jaw_angle_is_the_published_jaw_open(folder: Path, head: HeadModel) -> None:
    """Skinning and correctives together give the unit that they were made of, everywhere."""
    with np.load(folder / FILE) as stored:
        names = stored["expression_names"].tolist()
        unit = stored["expression_deltas"][names.index("jawOpen")].astype(np.float32) / 100

    shift = (opened(head, JAW_OPEN_RAD) - head.template)[: len(unit)].numpy()

    assert 0 == pytest.approx(np.abs(unit - shift).max(), abs=1e-4)


def test_the_jaws_joint_is_the_one_that_the_unit_turned_about(head: HeadModel) -> None:
    """Found from the lower teeth alone, to two millimetres: they are stored in half precision."""
    expected = open_head.build().joints[2]

    assert float((expected - head.joints[2])[1:].norm()) < 2e-3


def test_units_are_all_but_the_jaws_opening(head: HeadModel) -> None:
    """Opening the mouth has one parameter, not two."""
    assert tuple(sorted(set(ICT_UNITS) - {"jawOpen"})) == head.expression_names


def test_gaze_units_leave_the_eyeballs_to_their_joints(head: HeadModel) -> None:
    """No expression moves a ball."""
    for part in ("left_eyeball", "right_eyeball"):
        assert 0 == float(head.expr_basis[:, slice(*PARTS[part])].abs().max())


def test_landmarks_land_near_their_places(head: HeadModel) -> None:
    """From 68 known ones the others are found to a millimetre, at most two; lips on their side."""
    mean = open_head.build()
    truth = mean.template[mean.landmark_vertices]
    middle = truth[[468, 473]].mean(0) - landmarks_on(head, head.template)[[468, 473]].mean(0)

    away = (landmarks_on(head, head.template) + middle - truth).norm(dim=1)

    assert float(away.median()) < 1e-3
    assert float(away.max()) < 3e-3
    turned = landmarks_on(head, opened(head, JAW_OPEN_RAD)) - landmarks_on(head, head.template)
    assert float(turned[13].norm()) < 2e-3
    assert float(turned[14].norm()) > 1e-2
    assert bool(torch.isfinite(turned[list(LIPS)]).all())


def test_a_missing_file_tells_how_to_make_it(tmp_path: Path) -> None:
    """The message is the command."""
    with pytest.raises(MissingModel, match="talksplat models import ict-facekit") as refusal:
        ict_face.build(tmp_path)

    assert "missing_model_file" == refusal.value.code


def test_another_npz_under_its_name_is_refused(tmp_path: Path) -> None:
    """Arrays are checked before anything is made of them."""
    np.savez(tmp_path / FILE, v_template=np.zeros((5023, 3), np.float32))

    with pytest.raises(InvalidInput, match="build it again") as refusal:
        ict_face.build(tmp_path)

    assert "bad_head_file" == refusal.value.code


def write_tree(folder: Path) -> Floats:
    """A small folder as published: quads and a triangle, two identities, one unit; the neutral."""
    inside = folder / "FaceXModel"
    inside.mkdir(parents=True)
    vertices = np.random.default_rng(1).normal(size=(N_SMALL, 3))

    def write(name: str, moved: Floats) -> None:
        lines = ["mtllib ICTFaceModelMaterial.mtl"]
        lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in moved]
        lines += ["vt 0.0 0.0", "vt 1.0 0.5", "vt 0.0 1.0", "usemtl M_Face"]
        lines += ["f 1/1 2/2 3/3 4/1", "f 5/1 6/2 7/3"]
        (inside / f"{name}.obj").write_text("\n".join(lines) + "\n", encoding="ascii")

    write("generic_neutral_mesh", vertices)
    write("identity000", vertices + np.array([0.25, 0, 0]))
    write("identity001", vertices + np.array([0, 0.5, 0]))
    write("jawOpen", vertices - np.array([0, 2, 0]))
    (inside / "vertex_indices.json").write_text("{}", encoding="ascii")
    return vertices


def small_table() -> dict[str, Column]:
    """The packed file's table with the small folder's sizes."""
    sizes = {26719: N_SMALL, 100: 2, 57: 1}
    return {
        name: column._replace(
            shape=tuple(sizes.get(n, n) if isinstance(n, int) else n for n in column.shape)
        )
        for name, column in ICT_TABLE.items()
    }


def test_the_published_folder_is_packed(tmp_path: Path) -> None:
    """Differences from the neutral, quads and triangles, names from the files."""
    vertices = write_tree(tmp_path / "ICT-FaceKit")

    path = pack_ict(tmp_path / "ICT-FaceKit", tmp_path / "models", silent, small_table())

    with np.load(path, allow_pickle=False) as stored:
        assert vertices == pytest.approx(stored["v_template"], abs=1e-5)
        assert [[0, 1, 2, 3], [4, 5, 6, 6]] == stored["faces"].tolist()
        assert [[0, 1, 2, 0], [0, 1, 2, 2]] == stored["faces_uv"].tolist()
        assert (2, N_SMALL, 3) == stored["identity_deltas"].shape
        assert 0.5 == pytest.approx(float(stored["identity_deltas"][1, :, 1].mean()), abs=1e-3)
        assert ["jawOpen"] == stored["expression_names"].tolist()
        assert -2.0 == pytest.approx(float(stored["expression_deltas"][0, :, 1].mean()), abs=1e-3)


def test_another_folder_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line names what is missing; a tree of other sizes is told apart."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path / "models"))
    write_tree(tmp_path / "small")
    (tmp_path / "empty").mkdir()

    codes = [
        run_command(["models", "import", "ict-facekit", str(tmp_path / name)])
        for name in ("empty", "small")
    ]

    told = capsys.readouterr().err
    assert [1, 1] == codes
    assert "generic_neutral_mesh.obj" in told
    assert 2 == told.count("error[bad_head_file]")
    assert not (tmp_path / "models").exists()


def test_a_torn_obj_is_refused(tmp_path: Path) -> None:
    """A line that is no vertex is named with its file."""
    write_tree(tmp_path)
    (tmp_path / "FaceXModel" / "identity001.obj").write_text("v 1 2\nv 1 x 3\n", encoding="ascii")

    with pytest.raises(InvalidInput, match="identity001") as refusal:
        pack_ict(tmp_path, tmp_path / "models", silent, small_table())

    assert "bad_head_file" == refusal.value.code
