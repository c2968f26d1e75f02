"""How far behind the sound each audio encoder and motion model is, before anything is computed."""

import math
from typing import NamedTuple

from services.audio2motion.motion_model import load_motion_model
from services.audio2motion.streaming import is_streaming
from shared.audio_encoder import AudioEncoder
from shared.audio_stream import is_chunkable
from shared.errors import MissingModel
from shared.model_files import model_path
from shared.plugins import load_plugin, plugin_names

ENCODERS = "shared.audio_encoders"
MODELS = "services.audio2motion.motion_models"


class Latency(NamedTuple):
    """One row."""

    kind: str
    name: str
    look_ahead_s: float | None
    """Sound that it waits for, s; None for all of the recording."""
    is_chunkable: bool
    """Whether it gives the same chunk by chunk, once the levels of the voice are known."""
    missing: tuple[str, ...] = ()
    """Model files that it lacks on this machine."""


def list_latencies() -> list[Latency]:
    """Every encoder, then every motion model."""
    encoders = [_encoder(name) for name in plugin_names(ENCODERS)]
    return encoders + [_model(name) for name in plugin_names(MODELS)]


def _encoder(name: str) -> Latency:
    encoder: AudioEncoder = load_plugin(ENCODERS, name)
    look_ahead = None if math.isinf(encoder.LOOK_AHEAD_S) else encoder.LOOK_AHEAD_S
    can = is_chunkable(encoder)
    return Latency("encoder", name, look_ahead, can, _missing(encoder.MODEL_FILES))


def _model(name: str) -> Latency:
    model = load_motion_model(name)
    files: tuple[str, ...] = getattr(model, "MODEL_FILES", ())
    if is_streaming(model):
        return Latency("motion model", name, model.LOOK_AHEAD_S, True, _missing(files))  # noqa: FBT003
    return Latency("motion model", name, None, False, _missing(files))  # noqa: FBT003


def _missing(files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in files if not _is_there(name))


def _is_there(name: str) -> bool:
    try:
        model_path(name, name)
    except MissingModel:
        return False
    return True
