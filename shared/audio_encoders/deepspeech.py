"""DeepSpeech 0.1.0: what 29 letters sound likely, 50 times a second.

Hannun et al. 2014; in the use of AD-NeRF and its line: logits of Mozilla's frozen graph for 26
cepstra with nine rows of context on either side. Two ways, in this order: rows that somebody made
elsewhere (``deepspeech_features/NAME.npy`` beside the ``NAME.wav`` they are of), or the graph as
the user converted it to ONNX. The graph itself needs TensorFlow, which Talksplat does not.
Departure: recordings are brought to one level first, which the standardised cepstra still tell.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.cepstra import cepstra
from shared.errors import InvalidInput, MissingModel
from shared.media.audio import read_audio
from shared.model_files import model_path
from shared.speech_level import speech_gain

F32 = NDArray[np.float32]

SAMPLE_RATE = 16_000
ROWS_PER_SECOND = 50
N_CHANNELS = 29
MODEL_FILES = ("deepspeech_features", "deepspeech.onnx")
LOOK_AHEAD_S = math.inf
"""Its recurrence runs both ways."""

N_CEPSTRA, CONTEXT = 26, 9
_WINDOW = 16
"""Rows in a window of AD-NeRF's files, two rows apart."""
_SAME = 1e-3
"""Samples that differ by less are the same sound; wav files are quantised."""


def encode(audio: F32) -> F32:
    """Logits of space, a to z, apostrophe and blank. [samples] -> [rows, 29]"""
    n_rows = max(1, -(-len(audio) * ROWS_PER_SECOND // SAMPLE_RATE))
    try:
        folder = model_path(MODEL_FILES[0], "the audio encoder deepspeech")
    except MissingModel:
        rows = None
    else:
        rows = _supplied(folder, audio)
    if rows is None:
        path = model_path(MODEL_FILES[1], "the audio encoder deepspeech")
        rows = _run(
            _session(path, path.stat().st_mtime_ns),
            network_input(audio * np.float32(speech_gain(audio))),
            path,
        )
    missing = max(0, n_rows - len(rows))
    return np.pad(rows[:n_rows], ((0, missing), (0, 0)), mode="edge").astype(np.float32)


def network_input(audio: F32) -> F32:
    """Cepstra every 20 ms with their context, standardised. [samples] -> [rows, 19 * 26]"""
    pcm = np.clip(np.trunc(audio.astype(np.float64) * 32768), -32768, 32767)
    kept = cepstra(pcm, N_CEPSTRA)[::2]
    padded = np.pad(kept, ((CONTEXT, CONTEXT), (0, 0)))
    width = 2 * CONTEXT + 1
    rows = np.stack([padded[at : at + len(kept)] for at in range(width)], axis=1)
    flat = rows.reshape(len(kept), -1)
    return np.asarray((flat - flat.mean()) / max(float(flat.std()), 1e-9), np.float32)


def read_rows(path: Path) -> F32:
    """A feature file: rows [N, 29] at 50 Hz, or AD-NeRF's windows of them [N, 16, 29].

    Raises:
        InvalidInput: ``bad_model_file``.
    """
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InvalidInput("bad_model_file", f"{path} is no array: {error}") from error
    if stored.ndim == 3 and stored.shape[1:] == (_WINDOW, N_CHANNELS):  # noqa: PLR2004 - windows
        half = _WINDOW // 2
        stored = stored[:, half : half + 2].reshape(-1, N_CHANNELS)
    if stored.ndim != 2 or stored.shape[1] != N_CHANNELS or not len(stored):  # noqa: PLR2004
        raise InvalidInput(
            "bad_model_file",
            f"{path} is {list(stored.shape)}, expected rows [N, {N_CHANNELS}] at 50 Hz or windows "
            f"[N, {_WINDOW}, {N_CHANNELS}]",
        )
    return np.asarray(stored, np.float32)


def _supplied(folder: Path, audio: F32) -> F32 | None:
    """Rows of the sound in ``folder`` that begins as ``audio`` does, if there is one."""
    heard = np.trim_zeros(audio, "b")
    if not len(heard):
        return None
    for path in sorted(folder.glob("*.npy")):
        sound = path.with_suffix(".wav")
        if not sound.is_file():
            raise MissingModel(
                "missing_model_file", f"{sound} must lie beside {path}, whose sound it is"
            )
        whole = read_audio(sound)
        if len(heard) <= len(whole) and np.abs(whole[: len(heard)] - heard).max(initial=0) < _SAME:
            return read_rows(path)
    return None


def _run(session: Any, rows: F32, path: Path) -> F32:  # noqa: ANN401 - onnxruntime has no types
    """Logits of the converted graph, whose ports are told by their types and shapes."""
    feeds = {}
    for port in session.get_inputs():
        n_rows = np.array([len(rows)], np.int64 if "int64" in port.type else np.int32)
        feeds[port.name] = n_rows if "int" in port.type else rows[None]
    try:
        outputs = session.run(None, feeds)
    except _graph_errors() as error:
        raise InvalidInput("bad_model_file", f"{path} is not DeepSpeech 0.1.0: {error}") from error
    for found in outputs:
        if found.shape[-1:] == (N_CHANNELS,) and found.size == len(rows) * N_CHANNELS:
            return np.asarray(found, np.float32).reshape(len(rows), N_CHANNELS)
    raise InvalidInput("bad_model_file", f"{path} gives no {N_CHANNELS} logits a row")


@lru_cache(maxsize=1)
def _session(path: Path, _changed: int) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Read once, and again when the file was replaced."""
    import onnxruntime  # noqa: PLC0415 - an optional library

    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except _graph_errors() as error:
        raise InvalidInput("bad_model_file", f"{path} is no ONNX graph: {error}") from error


def _graph_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its errors have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as raised  # noqa: PLC0415 - optional

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
    return (*(getattr(raised, name) for name in names), raised.RuntimeException)
