"""What is exported is read back by parsers that know the formats alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from services.embedded.cli import run_command
from services.embedded.exchange.sibr_cameras import read_cameras
from shared.avatar_method import Performance
from shared.avatar_store import load_avatar
from shared.geometry.cameras import project
from shared.geometry.rotations import axis_angle_to_matrix
from shared.head_model import HeadPose
from tests.foreign_files import parse_glb, parse_obj, parse_ply
from tests.rigged_person import write_rigged_avatar, write_rigged_motion
from tests.tracked_person import SIDE

SPLAT_NAMES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
    *(f"f_rest_{k}" for k in range(45)),
    *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]
"""The columns of 3D Gaussian Splatting, in their order."""


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar and a motion of four frames."""
    folder = tmp_path_factory.mktemp("person")
    write_rigged_avatar(folder / "avatar", {})
    write_rigged_motion(folder / "motion")
    return folder


def export(*words: str) -> int:
    """Run one export command."""
    return run_command(["export", *words])


def frame_of(person: Path, number: int) -> HeadPose:
    """One frame of the motion. [1, ...]"""
    with np.load(person / "motion" / "motion.npz") as arrays:
        rows = [arrays[name][number : number + 1] for name in HeadPose._fields]
    return HeadPose(*map(torch.from_numpy, rows))


def test_a_posed_frame_is_a_standard_splat_file(person: Path, tmp_path: Path) -> None:
    """Every column where viewers expect it: codes, logarithms, logits, unit quaternions."""
    _, _, model = load_avatar(person / "avatar")
    with np.load(person / "motion" / "motion.npz") as arrays:
        pose = HeadPose(*(torch.from_numpy(arrays[name]) for name in HeadPose._fields))
    with torch.no_grad():
        (posed,) = model.pose(model.condition(Performance(pose))[2])
    paths = [str(person / "avatar"), str(person / "motion")]

    code = export("ply", *paths, "--frame", "2", "-o", str(tmp_path / "f.ply"))

    names, points, faces = parse_ply(tmp_path / "f.ply")
    table = dict(zip(names, np.array(points).T, strict=True))
    assert (0, SPLAT_NAMES, []) == (code, names, faces)
    means = np.stack([table[name] for name in "xyz"], 1)
    np.testing.assert_allclose(means, posed.means, atol=1e-6)
    dc = np.stack([table[f"f_dc_{k}"] for k in range(3)], 1)
    np.testing.assert_allclose(0.5 + 0.28209479177387814 * dc, posed.colors, atol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-table["opacity"])), posed.opacities, atol=1e-5)
    scales = np.stack([table[f"scale_{k}"] for k in range(3)], 1)
    np.testing.assert_allclose(np.exp(scales), posed.scales, rtol=1e-4)
    quats = np.stack([table[f"rot_{k}"] for k in range(4)], 1)
    np.testing.assert_allclose(np.linalg.norm(quats, axis=1), 1, atol=1e-5)
    cosine = (quats * posed.quats.numpy()).sum(1) / posed.quats.norm(dim=1).numpy()
    np.testing.assert_allclose(cosine, 1, atol=1e-5)
    assert 0.0 == max(np.abs(table[f"f_rest_{k}"]).max() for k in range(45))


def test_a_frame_that_there_is_not_is_refused(
    person: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written."""
    paths = [str(person / "avatar"), str(person / "motion")]

    code = export("ply", *paths, "--frame", "4", "-o", str(tmp_path / "f.ply"))

    assert 1 == code
    assert "error[no_such_frame]" in capsys.readouterr().err
    assert not (tmp_path / "f.ply").exists()


def test_cameras_put_points_where_ours_do(person: Path, tmp_path: Path) -> None:
    """Position and rotation are camera-to-world, as SIBR reads them."""
    manifest, subject, _ = load_avatar(person / "avatar")
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)) * 0.1

    export("cameras", str(person / "avatar"), "-o", str(tmp_path / "cameras.json"))

    (camera,) = json.loads((tmp_path / "cameras.json").read_text("utf-8"))
    in_camera = (points.double().numpy() - camera["position"]) @ np.array(camera["rotation"])
    x = camera["fx"] * in_camera[:, 0] / in_camera[:, 2] + camera["cx"]
    y = camera["fy"] * in_camera[:, 1] / in_camera[:, 2] + camera["cy"]
    expected = project(points, subject.viewmat, torch.tensor(manifest.K))
    np.testing.assert_allclose(np.stack([x, y], 1), expected, atol=1e-3)
    assert (SIDE, SIDE, 0) == (camera["width"], camera["height"], camera["id"])


def test_cameras_are_read_back(person: Path, tmp_path: Path) -> None:
    """To the last digits that matter."""
    manifest, subject, _ = load_avatar(person / "avatar")
    export("cameras", str(person / "avatar"), "-o", str(tmp_path / "cameras.json"))

    (view,) = read_cameras(tmp_path / "cameras.json")

    torch.testing.assert_close(view.viewmat, subject.viewmat)
    torch.testing.assert_close(view.K, torch.tensor(manifest.K))


@pytest.mark.parametrize("kind", ["obj", "glb"])
def test_meshes_move_as_the_head_does(person: Path, tmp_path: Path, kind: str) -> None:
    """One file per frame; the skin of the head is where FLAME's parameters put it."""
    paths = [str(person / "avatar"), str(person / "motion")]

    export("meshes", *paths, "-o", str(tmp_path / "m"), "--format", kind)

    _, subject, _ = load_avatar(person / "avatar")
    head = subject.head_model
    parse = parse_obj if kind == "obj" else parse_glb
    assert [f"{k:06d}.{kind}" for k in range(4)] == sorted(
        p.name for p in (tmp_path / "m").iterdir()
    )
    vertices, faces = parse(tmp_path / "m" / f"000003.{kind}")
    assert np.array_equal(head.faces.numpy(), faces)
    rigid = (head.weights[:, 1] == 1) & (head.expr_basis.abs().sum((0, 2)) == 0)
    pose = frame_of(person, 3)
    turn = axis_angle_to_matrix(pose.rotation[0]) @ axis_angle_to_matrix(pose.neck_pose[0])
    rest = head.template + torch.einsum("k,kvc->vc", subject.shape, head.shape_basis)
    root = head.joints[0]
    expected = (rest[rigid] - root) @ turn.T + root + pose.translation[0]
    assert int(rigid.sum()) > 20
    np.testing.assert_allclose(vertices[rigid.numpy()], expected, atol=1e-5)


def test_the_mean_person_is_a_coloured_mesh(person: Path, tmp_path: Path) -> None:
    """Upright, with unit normals and colours, as trainings start from it."""
    code = export("fused", str(person / "avatar"), "-o", str(tmp_path / "fused.ply"))

    names, points, faces = parse_ply(tmp_path / "fused.ply")
    _, subject, _ = load_avatar(person / "avatar")
    assert 0 == code
    assert ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"] == names
    assert subject.head_model.faces.tolist() == faces
    table = np.array(points)
    head = subject.head_model
    still = head.expr_basis.abs().sum((0, 2)) == 0
    rest = head.template + torch.einsum("k,kvc->vc", subject.shape, head.shape_basis)
    rigid = (still & (head.weights[:, :2].sum(1) == 1)).numpy()
    np.testing.assert_allclose(table[rigid, :3], rest[torch.from_numpy(rigid)], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(table[:, 3:6], axis=1), 1, atol=1e-4)
    nose = head.landmark_vertices[1]
    assert table[nose, 5] > 0.5
    assert len(np.unique(table[:, 6:], axis=0)) > 20
