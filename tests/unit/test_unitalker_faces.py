"""UniTalker through an avatar's face: parameters, blendshapes and vertices as coefficients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from services.audio2motion.motion_models import unitalker
from services.audio2motion.pretrained import Face, SpeakerChoice
from services.audio2motion.unitalker_parts.components import decode, read_components
from services.audio2motion.unitalker_parts.faces import JAW_OPEN_RAD, choose_output, map_output
from services.audio2motion.unitalker_parts.outputs import (
    BLENDSHAPES,
    FLAME_EXPRESSION,
    FLAME_JAW,
    OUTPUTS,
)
from shared.errors import InvalidInput, MissingModel
from shared.head_models import open_head
from tests.spoken_dataset import make_head_model


def make_flame(edition: str) -> Face:
    """A head in FLAME's topology and with its names; few units, random shapes."""
    rng = torch.Generator().manual_seed(1)
    model = make_head_model()
    model = model._replace(
        template=0.1 * torch.randn(5143, 3, generator=rng),
        shape_basis=torch.zeros(1, 5143, 3),
        expr_basis=0.01 * torch.randn(6, 5143, 3, generator=rng),
        expression_names=tuple(f"{edition}_{unit:03d}" for unit in range(6)),
        weights=torch.softmax(torch.randn(5143, 5, generator=rng), dim=1),
    )
    rest = np.linspace(-0.1, 0.1, 6 + 9).astype(np.float32)
    return Face("flame", model, rest)


def test_flame_parameters_are_taken_as_they_are() -> None:
    """Expression and jaw of D5 on top of the face at rest; shape and pose are not."""
    face = make_flame("flame2020")
    values = np.random.default_rng(0).standard_normal((4, 413)).astype(np.float32)

    found = map_output("D5", face)

    said = values @ found.matrix + found.offset - face.rest
    assert "D5" == choose_output(face)
    assert np.allclose(values[:, FLAME_EXPRESSION][:, :6], said[:, :6], atol=1e-6)
    assert np.allclose(values[:, FLAME_JAW], said[:, 6:9], atol=1e-6)
    assert not said[:, 9:].any()


def test_blendshapes_are_taken_by_name() -> None:
    """Both spellings, and the jaw's joint opens with ``jawOpen``."""
    head = open_head.build()
    face = Face("open_head", head, np.zeros(len(head.expression_names) + 9, np.float32))
    names = BLENDSHAPES["D3"]
    values = np.zeros((1, 52), np.float32)
    values[0, names.index("mouthSmileLeft")], values[0, names.index("jawOpen")] = 0.7, 0.5

    found = map_output("D3", face)

    said = values @ found.matrix + found.offset
    expected = np.zeros_like(said)
    expected[0, head.expression_names.index("mouthSmile_L")] = 0.7
    expected[0, len(head.expression_names)] = 0.5 * JAW_OPEN_RAD
    assert "D3" == choose_output(face)
    assert np.allclose(expected, said, atol=1e-6)


def write_components(path: Path, rng: np.random.Generator, **changes: Any) -> Path:  # noqa: ANN401
    """Components of VOCASET as published, random."""
    arrays = {
        "components_to_data": rng.standard_normal((512, 15069)).astype(np.float32),
        "original_data_mean": rng.standard_normal(15069).astype(np.float32),
        "data_components_mean": np.zeros(512, np.float32),
        "data_components_std": np.ones(512, np.float32),
    }
    path.parent.mkdir(parents=True)
    np.savez(path, **(arrays | changes))
    return path


def test_vertices_become_the_coefficients_that_move_them_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Components made of a head's own motions give back these motions."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    face, rng = make_flame("flame2023"), np.random.default_rng(2)
    units = face.model.expr_basis[:, :5023].flatten(1).numpy()
    wanted = np.zeros((512, 6))
    wanted[:20] = rng.standard_normal((20, 6))
    write_components(
        tmp_path / "unitalker_data_release/vocaset/pca.npz",
        rng,
        components_to_data=(wanted @ units).astype(np.float32),
        original_data_mean=np.zeros(15069, np.float32),
    )

    found = map_output("D1", face)

    assert "D1" == choose_output(face)
    assert np.abs(found.matrix[:, :6] - wanted).max() < 0.05
    assert np.allclose(face.rest, found.offset, atol=1e-3)


def test_components_are_decoded_as_defined(tmp_path: Path) -> None:
    """Mean and weighted directions, three numbers a vertex."""
    rng = np.random.default_rng(3)
    path = write_components(tmp_path / "x" / "pca.npz", rng)
    values = rng.standard_normal((2, 512)).astype(np.float32)

    found = decode(read_components(path, OUTPUTS["D1"]), values)

    with np.load(path) as stored:
        mean, basis = stored["original_data_mean"], stored["components_to_data"]
    expected = np.stack(
        [mean + sum(v * b for v, b in zip(row, basis, strict=True)) for row in values]
    )
    assert np.abs(expected.reshape(2, 5023, 3) - found).max() < 1e-3


@pytest.mark.parametrize("name", ["components_to_data", "original_data_mean"])
def test_components_of_another_shape_are_refused(tmp_path: Path, name: str) -> None:
    """By name."""
    rng = np.random.default_rng(3)
    path = write_components(tmp_path / "x" / "pca.npz", rng, **{name: np.zeros((4, 4))})

    with pytest.raises(InvalidInput, match=name) as refused:
        read_components(path, OUTPUTS["D1"])

    assert "bad_model_file" == refused.value.code


@pytest.mark.parametrize(
    ("output", "edition"), [("D5", "flame2023"), ("D0", "flame2020"), ("D6", "flame2020")]
)
def test_outputs_that_cannot_move_a_head_are_refused(output: str, edition: str) -> None:
    """With what could."""
    with pytest.raises(InvalidInput, match="choose D5 or D1") as refused:
        map_output(output, make_flame(edition))

    assert "output_incompatible" == refused.value.code


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (SpeakerChoice(style=935), "bad_speaker_style"),
        (SpeakerChoice(output="D9"), "output_incompatible"),
    ],
)
def test_choices_that_there_are_not_are_refused(
    tmp_path: Path, choice: SpeakerChoice, code: str
) -> None:
    """Before anything large is read."""
    with pytest.raises(InvalidInput) as refused:
        unitalker.prepare(make_flame("flame2020"), choice, tmp_path)

    assert code == refused.value.code


def test_without_its_checkpoint_it_says_what_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, the variable and the owner."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))

    with pytest.raises(MissingModel, match=r"unitalker\.pt.*X-niper") as refused:
        unitalker.prepare(make_flame("flame2020"), SpeakerChoice(), tmp_path)

    assert "missing_model_file" == refused.value.code
