"""UniTalker's published checkpoints: B hears through WavLM base+, L through wav2vec 2.0 XLSR-53.

A checkpoint holds its speech transformer too, so that no other file is needed.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from services.audio2motion.unitalker_parts.network import UniTalker
from services.audio2motion.unitalker_parts.outputs import N_STYLES, OUTPUTS
from shared.errors import InvalidInput
from shared.model_files import model_path
from shared.published_weights import State, fill, read_state

FILE = "unitalker.pt"
FEATURE_MAP = "decoder.audio_feature_map.weight"
_NORM = "audio_encoder.encoder.pos_conv_embed.conv."
_OLD_NORM = {
    _NORM + "weight_g": _NORM + "parametrizations.weight.original0",
    _NORM + "weight_v": _NORM + "parametrizations.weight.original1",
}
"""Older versions of PyTorch call the two parts of a normalised weight otherwise."""


class Variant(NamedTuple):
    """One of the two published models."""

    audio_encoder: str
    """Registry name of the encoder that it resembles."""
    n_heard: int
    config: dict[str, object]
    """Of its speech transformer, where it differs from the library's defaults."""


VARIANTS = {
    "B": Variant("wavlm", 768, {}),
    "L": Variant(
        "wav2vec2",
        1024,
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "feat_extract_norm": "layer",
            "conv_bias": True,
            "do_stable_layer_norm": True,
        },
    ),
}


class Loaded(NamedTuple):
    """A checkpoint, ready to speak."""

    network: UniTalker
    variant: Variant


def load_checkpoint() -> Loaded:
    """The checkpoint in the models folder.

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_model_file`` names what differs from the published ones.
    """
    path = model_path(FILE, "the motion model unitalker")
    return _read(path, path.stat().st_mtime_ns)


def load(state: State, source: str) -> Loaded:
    """A network with a checkpoint's parameters.

    Raises:
        InvalidInput: ``bad_model_file`` names what differs from the published ones.
    """
    renamed = {_OLD_NORM.get(name, name): value for name, value in state.items()}
    width = renamed[FEATURE_MAP].shape[-1:] if FEATURE_MAP in renamed else ()
    variant = next((v for v in VARIANTS.values() if tuple(width) == (v.n_heard,)), None)
    if variant is None:
        raise InvalidInput(
            "bad_model_file",
            f"{source} is not UniTalker B or L: {FEATURE_MAP} does not take 768 or 1024 channels",
        )
    network = _build(variant)
    fill(network, renamed, source)
    return Loaded(network, variant)


def _build(variant: Variant) -> UniTalker:
    """The network without parameters."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel  # noqa: PLC0415 - takes seconds

    heads = {output.head: output.width for output in OUTPUTS.values()}
    with torch.device("meta"):
        if variant.audio_encoder == "wavlm":
            encoder = WavLMModel(WavLMConfig(**variant.config))
        else:
            encoder = Wav2Vec2Model(Wav2Vec2Config(**variant.config))
        return UniTalker(encoder, variant.n_heard, heads, N_STYLES)


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> Loaded:
    """Read once, and again when the file was replaced."""
    return load(read_state(path), str(path))
