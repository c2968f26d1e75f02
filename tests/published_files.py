"""Model files of exactly the published layout, with random values.

Names and shapes come from ``tests/data/parameters``. Large tensors are windows into little memory,
so that a checkpoint of a hundred million parameters is a file of a megabyte.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

PARAMETERS = Path(__file__).parent / "data" / "parameters"
TINY: dict[str, Any] = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
"""Of a speech transformer, everything but its width."""
FOLDERS = {
    "hubert": ("hubert-large-ls960-ft", 1024),
    "wav2vec2": ("wav2vec2-large-xlsr-53", 1024),
    "wavlm": ("wavlm-base-plus", 768),
}


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of a published network."""
    stored = json.loads((PARAMETERS / f"{name}.json").read_text(encoding="utf-8"))
    return {key: tuple(shape) for key, shape in stored["parameters"].items()}


def make_state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Random values under published names."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in published_shapes(name).items():
        values = 0.05 * torch.randn(sum(shape) + 1, generator=generator)
        if key.endswith("running_var"):
            values = values.abs() + 0.5
        if key.endswith("num_batches_tracked"):
            values = torch.ones(1, dtype=torch.int64)
        state[key] = values.as_strided(shape, [1] * len(shape))
    return state


def write_state(path: Path, name: str) -> Path:
    """A checkpoint of the published layout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(make_state(name), path)
    return path


def write_speech_transformer(models_dir: Path, encoder: str, width: int | None = None) -> Path:
    """A folder as ``transformers`` stores it: the published width, one layer, narrow inside."""
    from transformers import (  # noqa: PLC0415 - takes seconds
        HubertConfig,
        HubertModel,
        Wav2Vec2Config,
        Wav2Vec2Model,
        WavLMConfig,
        WavLMModel,
    )

    folder, published = FOLDERS[encoder]
    torch.manual_seed(0)
    config, model = {
        "hubert": (HubertConfig, HubertModel),
        "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
        "wavlm": (WavLMConfig, WavLMModel),
    }[encoder]
    made = model(config(hidden_size=width or published, **TINY))
    made.save_pretrained(models_dir / folder)
    return models_dir / folder


def write_all(models_dir: Path) -> None:
    """Files of every audio encoder that needs some."""
    write_state(models_dir / "audio_visual_encoder.pth", "ave")
    for encoder in FOLDERS:
        write_speech_transformer(models_dir, encoder)
    write_deepspeech(models_dir / "deepspeech.onnx")


def deepspeech_weights(n_inputs: int = 494, n_letters: int = 29) -> np.ndarray[Any, Any]:
    """What the graph of ``write_deepspeech`` multiplies by."""
    rng = np.random.default_rng(5)
    return (0.02 * rng.standard_normal((n_inputs, n_letters))).astype(np.float32)


def write_deepspeech(path: Path, n_letters: int = 29) -> Path:
    """An ONNX graph with DeepSpeech's ports and one layer: logits [N, 1, 29] of rows [1, N, 494].

    Written field by field, as the format says (onnx.proto3), since no library for it is needed
    otherwise.
    """
    weights = deepspeech_weights(n_letters=n_letters)
    tensor = (
        b"".join(_number(1, size) for size in weights.shape)
        + _number(2, 1)
        + _bytes(8, b"weights")
        + _bytes(9, weights.tobytes())
    )
    nodes = [
        _node("MatMul", [b"input_node", b"weights"], b"rows"),
        _node("Transpose", [b"rows"], b"logits", _ints(b"perm", (1, 0, 2))),
        _node("Identity", [b"input_lengths"], b"lengths"),
    ]
    ports = [
        _bytes(11, _port(b"input_node", 1, (1, b"N", 494))),
        _bytes(11, _port(b"input_lengths", 6, (1,))),
        _bytes(12, _port(b"logits", 1, (b"N", 1, n_letters))),
        _bytes(12, _port(b"lengths", 6, (1,))),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"deepspeech")
    graph += _bytes(5, tensor) + b"".join(ports)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13)))
    return path


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _node(kind: str, inputs: list[bytes], output: bytes, attribute: bytes = b"") -> bytes:
    wires = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output)
    return wires + _bytes(4, kind.encode()) + (_bytes(5, attribute) if attribute else b"")


def _ints(name: bytes, values: tuple[int, ...]) -> bytes:
    return _bytes(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _port(name: bytes, dtype: int, shape: tuple[int | bytes, ...]) -> bytes:
    sizes = b"".join(
        _bytes(1, _bytes(2, size) if isinstance(size, bytes) else _number(1, size))
        for size in shape
    )
    tensor = _number(1, dtype) + _bytes(2, sizes)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))
