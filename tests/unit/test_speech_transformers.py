"""HuBERT, wav2vec 2.0 and WavLM from local folders of the layout that transformers writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from shared import speech_transformers
from shared.audio_encoders import hubert, wavlm
from shared.errors import InvalidInput, MissingModel
from tests.published_files import write_speech_transformer

F32 = NDArray[np.float32]


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))
    return tmp_path


def make_sound(n_samples: int) -> F32:
    """Noise."""
    noise = np.random.default_rng(1).standard_normal(n_samples)
    return np.asarray(0.1 * noise, np.float32)


def plain_rows(folder: Path, sound: F32, n_rows: int) -> F32:
    """What the library says of the normalised sound with half a window of silence before."""
    from transformers import WavLMModel  # noqa: PLC0415 - takes seconds

    level = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.concatenate([np.zeros(200), level, np.zeros(400)]).astype(np.float32)
    network = WavLMModel.from_pretrained(folder).eval()
    with torch.no_grad():
        found = network(torch.from_numpy(padded[: 320 * (n_rows - 1) + 400])[None])
    rows: F32 = found.last_hidden_state[0].numpy()
    return rows


def test_rows_are_the_last_hidden_states(models_dir: Path) -> None:
    """Fifty a second, the first centred on the first sample."""
    folder = write_speech_transformer(models_dir, "wavlm")
    sound = make_sound(16_000)

    rows = wavlm.encode(sound)

    assert (50, 768) == rows.shape
    assert np.abs(plain_rows(folder, sound, 50) - rows).max() < 1e-5


def test_long_sound_is_heard_in_parts(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as in one piece, and the first part hears what it would alone."""
    write_speech_transformer(models_dir, "wavlm")
    monkeypatch.setattr(speech_transformers, "CORE_ROWS", 40)
    monkeypatch.setattr(speech_transformers, "MARGIN_ROWS", 10)
    sound = make_sound(2 * 16_000)

    rows = wavlm.encode(sound)

    assert (100, 768) == rows.shape
    assert np.isfinite(rows).all()


def test_another_size_is_refused(models_dir: Path) -> None:
    """The base model is not the large one."""
    write_speech_transformer(models_dir, "hubert", width=768)

    with pytest.raises(InvalidInput, match="hubert with 768 channels, expected hubert with 1024"):
        hubert.encode(make_sound(4_000))


def test_missing_weights_are_refused_by_name(models_dir: Path) -> None:
    """No layer is quietly left random."""
    folder = write_speech_transformer(models_dir, "wavlm")
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layers.0.attention.k_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(InvalidInput, match="k_proj") as refused:
        wavlm.encode(make_sound(4_000))

    assert "bad_model_file" == refused.value.code


@pytest.mark.parametrize("damage", ["no config", "no weights", "torn config"])
def test_damaged_folders_are_refused(models_dir: Path, damage: str) -> None:
    """Whatever is missing."""
    folder = write_speech_transformer(models_dir, "wavlm")
    if damage == "no weights":
        (folder / "model.safetensors").unlink()
    else:
        text = "" if damage == "no config" else json.dumps({"model_type": "wav"})
        (folder / "config.json").write_text(text, encoding="utf-8")

    with pytest.raises(InvalidInput) as refused:
        wavlm.encode(make_sound(4_000))

    assert "bad_model_file" == refused.value.code


def test_without_its_folder_it_says_what_to_get(models_dir: Path) -> None:
    """The folder and its owner."""
    assert models_dir.is_dir()

    with pytest.raises(MissingModel, match=r"wavlm-base-plus.*microsoft"):
        wavlm.encode(make_sound(4_000))
