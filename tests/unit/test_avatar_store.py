"""Avatars are stored and read; hostile files are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from shared.avatar_methods import rigged_gaussians
from shared.avatar_store import (
    HEAD_MODEL,
    TENSORS,
    TRAINING,
    UPPER_FACE,
    load_avatar,
    save_subject,
    save_tensors,
)
from shared.contracts.artifact import MANIFEST, write_manifest
from shared.contracts.avatar import AvatarManifest
from shared.errors import InvalidInput
from tests.tracked_person import SIDE, make_seeds, make_subject


def write_avatar(folder: Path) -> Path:
    """An avatar before training."""
    folder.mkdir()
    subject = make_subject()
    model = rigged_gaussians.create(subject, make_seeds(spacing=4), {}, 0)
    save_tensors(folder / TENSORS, model.tensors())
    save_subject(folder, subject)
    manifest = AvatarManifest(
        method="rigged_gaussians",
        method_options={},
        head_model="open_head",
        expression_names=list(subject.head_model.expression_names),
        fps=25,
        rasterizer="cpu",
        n_gaussians=len(model.local),
        capture_sha256="0" * 64,
        capture_width=SIDE,
        capture_height=SIDE,
        crop_size=SIDE,
        crop=(0.0, 0.0, float(SIDE)),
        K=subject.K.tolist(),
        viewmat=subject.viewmat.tolist(),
        preset="draft",
        n_steps=0,
        seed=0,
    )
    write_manifest(folder, manifest)
    return folder


def change_manifest(folder: Path, **changes: object) -> None:
    """Write other facts into the manifest."""
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(facts | changes), encoding="utf-8")


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Write other tensors."""
    tensors = load_file(folder / TENSORS)
    change(tensors)
    save_file(tensors, folder / TENSORS)


def change_array(path: Path, name: str, value: float) -> None:
    """Put a value into the first place of a stored array."""
    with np.load(path) as stored:
        arrays = {key: stored[key].copy() for key in stored.files}
    arrays[name].flat[0] = value
    np.savez(path, **arrays)


def test_what_was_stored_is_posed_as_before(tmp_path: Path) -> None:
    """Manifest, person and Gaussians come back; nothing asks for a gradient."""
    folder = write_avatar(tmp_path / "avatar")
    original = rigged_gaussians.create(make_subject(), make_seeds(spacing=4), {}, 0)

    manifest, subject, model = load_avatar(folder)

    assert "rigged_gaussians" == manifest.method
    assert torch.equal(original.subject.K, subject.K)
    assert torch.equal(original.subject.viewmat, subject.viewmat)
    with torch.no_grad():
        conditions = model.condition(subject.training_performance)
        expected = original.pose(original.condition(original.subject.training_performance)[3])[0]
        actual = model.pose(conditions[3])[0]
    assert all(torch.equal(one, other) for one, other in zip(expected, actual, strict=True))
    assert not actual.means.requires_grad


def test_storing_is_deterministic(tmp_path: Path) -> None:
    """Equal avatars are equal files."""
    first, second = write_avatar(tmp_path / "one"), write_avatar(tmp_path / "two")

    names = sorted(path.name for path in first.iterdir())
    assert sorted((HEAD_MODEL, MANIFEST, TENSORS, TRAINING, UPPER_FACE)) == names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(
    ("hurt", "code"),
    [
        (lambda d: (d / MANIFEST).unlink(), "not_an_artifact"),
        (lambda d: (d / MANIFEST).write_bytes(b"\xff\xfe{"), "not_an_artifact"),
        (lambda d: change_manifest(d, kind="motion"), "not_an_artifact"),
        (lambda d: change_manifest(d, method="../../evil"), "unknown_plugin"),
        (lambda d: change_manifest(d, method="gaussian_talker"), "bad_avatar"),
        (lambda d: change_manifest(d, method="talking_gaussian"), "bad_avatar"),
        (lambda d: change_manifest(d, method="speaker_blendshapes"), "bad_avatar"),
        (lambda d: change_manifest(d, K=[[1.0, 0.0], [0.0]]), "bad_avatar"),
        (lambda d: change_manifest(d, viewmat=[[1.0]]), "bad_avatar"),
        (lambda d: (d / TENSORS).unlink(), "bad_avatar"),
        (lambda d: (d / TENSORS).write_bytes(b"not tensors"), "bad_avatar"),
        (lambda d: (d / TENSORS).write_bytes(b"\xff" * 64), "bad_avatar"),
        (lambda d: change_tensors(d, lambda t: t.pop("colors")), "bad_avatar"),
        (lambda d: change_tensors(d, lambda t: t["binding"].fill_(10**7)), "bad_avatar"),
        (lambda d: change_tensors(d, lambda t: t.update(local=t["local"][:3])), "bad_avatar"),
        (lambda d: change_tensors(d, lambda t: t["colors"][0].fill_(float("nan"))), "bad_avatar"),
        (lambda d: change_manifest(d, schema_version=99), "newer_schema"),
        (lambda d: np.savez(d / UPPER_FACE, upper_face=np.zeros((3, 7), np.float32)), "bad_avatar"),
        (lambda d: (d / TRAINING).write_bytes(b"PK\x03\x04"), "bad_arrays"),
        (lambda d: (d / HEAD_MODEL).unlink(), "bad_arrays"),
        (lambda d: change_array(d / HEAD_MODEL, "faces", 10**6), "bad_arrays"),
        (lambda d: change_array(d / HEAD_MODEL, "landmark_vertices", -5), "bad_arrays"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused(
    tmp_path: Path, hurt: Callable[[Path], object], code: str
) -> None:
    """Each with an error that names what is wrong, never by a crash or by reading past an end."""
    folder = write_avatar(tmp_path / "avatar")
    hurt(folder)

    with pytest.raises(InvalidInput) as refused:
        load_avatar(folder)

    assert code == refused.value.code


def test_an_avatar_of_another_head_is_refused(tmp_path: Path) -> None:
    """Motions are checked against the manifest, so it must tell the head model's expressions."""
    folder = write_avatar(tmp_path / "avatar")
    change_manifest(folder, expression_names=["jawOpen"])

    with pytest.raises(InvalidInput) as refused:
        load_avatar(folder)

    assert "bad_avatar" == refused.value.code
