"""Avatars and motions go to GaussianAvatars and come back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.embedded.cli import run_command
from services.embedded.exchange.flame_params import FlameSequence, read_sequence, write_sequence
from services.embedded.exchange.gaussian_avatar import (
    export_gaussian_avatar,
    import_gaussian_avatar,
)
from services.embedded.exchange.head_exchange import Head, of_person
from shared.avatar_store import load_avatar
from shared.contracts.artifact import read_arrays, read_manifest
from shared.contracts.avatar import AvatarManifest
from shared.contracts.motion import MOTION_TABLE
from shared.errors import InvalidInput
from shared.head_model import HeadPose
from shared.plugins import plugin_names
from shared.rigging.triangle_frames import triangle_frames
from tests.foreign_files import parse_npz, parse_ply
from tests.rigged_person import N_FRAMES, write_rigged_avatar, write_rigged_motion
from tests.tracked_person import SIDE, make_subject

CLOUD = "point_cloud/iteration_1200"
N_REST = 45


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An avatar without corrections, exported; the avatar lies beside it."""
    write_rigged_avatar(tmp_path / "avatar", {"sh_degree": 1}, is_corrected=False)
    export_gaussian_avatar(tmp_path / "avatar", tmp_path / "out", tmp_path)
    return tmp_path / "out"


def test_the_layout_is_gaussian_avatars(exported: Path) -> None:
    """Names, order and shapes of the fact sheet; values in the triangles' frames."""
    _, subject, model = load_avatar(exported.parent / "avatar")
    tensors = model.tensors()  # type: ignore[attr-defined]  # a rigged avatar's

    names, points, _ = parse_ply(exported / CLOUD / "point_cloud.ply")
    params = parse_npz(exported / CLOUD / "flame_param.npz")

    table = dict(zip(names, np.array(points, np.float32).T, strict=True))
    middle = [f"f_rest_{k}" for k in range(N_REST)]
    assert ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *middle] == names[:54]
    end = ["opacity", *(f"scale_{k}" for k in range(3)), *(f"rot_{k}" for k in range(4))]
    assert [*end, "binding_0"] == names[54:]
    assert tensors["binding"].tolist() == table["binding_0"].astype(int).tolist()
    local = np.stack([table[name] for name in "xyz"], 1)
    np.testing.assert_array_equal(local, tensors["local"])
    np.testing.assert_array_equal(table["scale_2"], tensors["log_scales"][:, 2])
    # Channel by channel: red's 15 coefficients, then green's.
    np.testing.assert_array_equal(table["f_rest_2"], tensors["harmonics"][:, 2, 0])
    np.testing.assert_array_equal(table["f_rest_15"], tensors["harmonics"][:, 0, 1])
    n_vertices, n_expr = len(subject.head_model.template), len(subject.head_model.expr_basis)
    assert {
        "shape": (len(subject.shape),), "expr": (N_FRAMES, n_expr), "rotation": (N_FRAMES, 3),
        "neck_pose": (N_FRAMES, 3), "jaw_pose": (N_FRAMES, 3), "eyes_pose": (N_FRAMES, 6),
        "translation": (N_FRAMES, 3), "static_offset": (1, n_vertices, 3),
        "dynamic_offset": (N_FRAMES, n_vertices, 3),
    } == {name: array.shape for name, array in params.items()}  # fmt: skip
    refined = subject.training_pose.rotation + tensors["pose_deltas"][:, :3]
    np.testing.assert_allclose(params["rotation"], refined, atol=1e-6)


def test_the_triangle_frame_is_gaussian_avatars() -> None:
    """Columns edge, normal and -(normal x edge); size is the mean of base and height."""
    vertices = torch.tensor([[0.0, 0, 0], [2.0, 0, 0], [0.5, 4.0, 0]])

    frame = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))

    expected = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    torch.testing.assert_close(frame.rotations[0], expected)
    assert 3.0 == float(frame.sizes[0])
    torch.testing.assert_close(frame.centres[0], vertices.mean(0))


def test_an_avatar_comes_back_as_it_was(exported: Path, tmp_path: Path) -> None:
    """Posed as in training it gives the same Gaussians; the manifest is of the same camera."""
    _, _, before = load_avatar(exported.parent / "avatar")

    manifest = import_gaussian_avatar(exported, tmp_path / "back", tmp_path)

    _, subject, after = load_avatar(tmp_path / "back")
    with torch.no_grad():
        expected = before.pose(before.training_condition(7))  # type: ignore[attr-defined]  # trainable
        actual = after.pose(after.training_condition(7))  # type: ignore[attr-defined]  # trainable
    for one, other in zip(expected, actual, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)
    assert (SIDE, 1200) == (manifest.crop_size, manifest.n_steps)
    assert "rigged_gaussians" == manifest.method
    assert N_FRAMES == len(subject.training_pose.expr)
    files = set(read_manifest(tmp_path / "back", AvatarManifest).files)
    assert {"gaussians.safetensors", "head_model.npz", "tracking.npz", "plate.png"} <= files
    assert "importing" not in files


def test_a_second_export_gives_the_same_files(exported: Path, tmp_path: Path) -> None:
    """Nothing is lost on the way round."""
    import_gaussian_avatar(exported, tmp_path / "back", tmp_path)

    export_gaussian_avatar(tmp_path / "back", tmp_path / "again", tmp_path)

    first, second = (
        parse_ply(folder / CLOUD / "point_cloud.ply") for folder in (exported, tmp_path / "again")
    )
    assert first[0] == second[0]
    np.testing.assert_allclose(second[1], first[1], atol=1e-5)
    params, again = (
        parse_npz(folder / CLOUD / "flame_param.npz") for folder in (exported, tmp_path / "again")
    )
    for name, values in params.items():
        np.testing.assert_allclose(again[name], values, atol=1e-6)


def test_without_the_flame_file_the_missing_thing_is_named(exported: Path, tmp_path: Path) -> None:
    """A folder of GaussianAvatars' own brings no head model along."""
    (exported / "talksplat.json").unlink()

    with pytest.raises(InvalidInput, match="flame") as refused:
        import_gaussian_avatar(exported, tmp_path / "back", tmp_path)

    has_reader = "flame" in plugin_names("shared.head_models")
    assert ("missing_model_file" if has_reader else "unknown_plugin") == refused.value.code
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("cameras.json", None, "exchange_file_missing"),
        ("cameras.json", b'[{"id": 0}]', "bad_exchange_file"),
        (f"{CLOUD}/flame_param.npz", None, "exchange_file_missing"),
        (f"{CLOUD}/flame_param.npz", b"PK nothing", "bad_exchange_file"),
        (f"{CLOUD}/point_cloud.ply", None, "exchange_file_missing"),
        (f"{CLOUD}/point_cloud.ply", b"ply\nformat ascii 1.0\nend_header\n", "bad_exchange_file"),
        ("talksplat.json", b"{}", "bad_exchange_file"),
    ],
)
def test_what_cannot_be_read_is_refused(
    exported: Path, tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    """With the file's name, and nothing is written."""
    if content is None:
        (exported / name).unlink()
    else:
        (exported / name).write_bytes(content)

    with pytest.raises(InvalidInput, match=Path(name).name) as refused:
        import_gaussian_avatar(exported, tmp_path / "back", tmp_path)

    assert code == refused.value.code
    assert not (tmp_path / "back").exists()


def test_a_truncated_cloud_is_refused(exported: Path, tmp_path: Path) -> None:
    """It ends before its points do."""
    cloud = exported / CLOUD / "point_cloud.ply"
    cloud.write_bytes(cloud.read_bytes()[:-100])

    with pytest.raises(InvalidInput, match="ends before") as refused:
        import_gaussian_avatar(exported, tmp_path / "back", tmp_path)

    assert "bad_exchange_file" == refused.value.code


def test_a_method_off_the_mesh_cannot_be_exported(tmp_path: Path) -> None:
    """The refusal names it."""
    write_rigged_avatar(tmp_path / "avatar", {})
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - this test alone

    tensors = load_file(tmp_path / "avatar" / "gaussians.safetensors")
    del tensors["binding"]
    save_file(tensors, tmp_path / "avatar" / "gaussians.safetensors")

    with pytest.raises(InvalidInput, match="rigged_gaussians do not ride") as refused:
        export_gaussian_avatar(tmp_path / "avatar", tmp_path / "out", tmp_path)

    assert "not_on_triangles" == refused.value.code


def test_a_static_offset_becomes_the_persons_own(tmp_path: Path) -> None:
    """Of files without teeth the first vertices only; joints follow the shape."""
    subject = make_subject()
    model = subject.head_model
    offset = torch.full((50, 3), 0.01)
    basis = torch.zeros(len(subject.shape), 5, 3)
    basis[0, 3] = 1.0
    sequence = FlameSequence(subject.training_pose, subject.shape, offset)

    changed, shape = of_person(Head("flame", model, basis), sequence, tmp_path)

    torch.testing.assert_close(changed.template[:50], model.template[:50] + 0.01)
    assert torch.equal(model.template[50:], changed.template[50:])
    torch.testing.assert_close(changed.joints[3], model.joints[3] + subject.shape[0])
    assert torch.equal(subject.shape, shape)


def test_a_motion_goes_out_and_comes_in(tmp_path: Path) -> None:
    """Through the command line, under GaussianAvatars' names."""
    write_rigged_avatar(tmp_path / "avatar", {})
    motion = write_rigged_motion(tmp_path / "motion")
    avatar, file = str(tmp_path / "avatar"), str(tmp_path / "motion.npz")

    out = run_command(["export", "flame-motion", avatar, str(motion), "-o", file])
    back = run_command(
        ["import", "flame-motion", file, "--avatar", avatar, "-o", str(tmp_path / "back")]
    )

    assert (0, 0) == (out, back)
    assert set(HeadPose._fields) == set(parse_npz(Path(file)))
    before, after = (
        read_arrays(folder / "motion.npz", MOTION_TABLE) for folder in (motion, tmp_path / "back")
    )
    assert all(np.array_equal(before[name], after[name]) for name in MOTION_TABLE)


def test_parameters_that_no_method_can_follow_are_refused(tmp_path: Path) -> None:
    """Other expressions, and vertices that move frame by frame."""
    pose = make_subject().training_pose
    n_expr = pose.expr.shape[1]
    write_sequence(tmp_path / "p.npz", FlameSequence(pose, None, None))
    moving = {**parse_npz(tmp_path / "p.npz"), "dynamic_offset": np.ones((30, 4, 3), np.float32)}
    np.savez(tmp_path / "moving.npz", **moving)

    with pytest.raises(InvalidInput) as other:
        read_sequence(tmp_path / "p.npz", n_expr + 1)
    with pytest.raises(InvalidInput) as moved:
        read_sequence(tmp_path / "moving.npz", n_expr)

    assert ["expression_mismatch", "moving_vertices"] == [other.value.code, moved.value.code]
