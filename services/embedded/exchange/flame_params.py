"""FLAME parameters of a sequence as npz, in the names and shapes of GaussianAvatars and VHAP.

``shape`` [K], ``expr`` [T, E], ``rotation``, ``neck_pose``, ``jaw_pose`` and ``translation``
[T, 3], ``eyes_pose`` [T, 6], ``static_offset`` [1, V, 3], ``dynamic_offset`` [T, V, 3]. K is 300
and E 100 with FLAME; other head models have their own numbers.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidInput
from shared.head_model import HeadPose

WIDTHS = {
    "rotation": 3,
    "neck_pose": 3,
    "jaw_pose": 3,
    "eyes_pose": 6,
    "translation": 3,
}
"""Columns of the dynamic arrays; those of ``expr`` belong to the head model."""
MAX_OFFSET_M = 1e-6
"""Vertex offsets up to this are none."""


class FlameSequence(NamedTuple):
    """A person's shape and their motion."""

    pose: HeadPose  # T frames
    shape: Tensor | None  # [K]; None in a file of motion alone
    static_offset: Tensor | None  # [V, 3] m


def write_sequence(path: Path, sequence: FlameSequence) -> None:
    """Write a sequence; offsets of zero are written out, as the reference code expects them."""
    arrays = {name: values.numpy() for name, values in sequence.pose._asdict().items()}
    if sequence.shape is not None:
        arrays["shape"] = sequence.shape.numpy()
    if sequence.static_offset is not None:
        n_frames, n_vertices = len(sequence.pose.expr), len(sequence.static_offset)
        arrays["static_offset"] = sequence.static_offset.numpy()[None]
        arrays["dynamic_offset"] = np.zeros((n_frames, n_vertices, 3), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Offsets are mostly zeros: compressed they are a thousandth.
    np.savez_compressed(path, **arrays)


def read_sequence(path: Path, n_expressions: int) -> FlameSequence:
    """Read a sequence; nothing is unpickled.

    Raises:
        InvalidInput: ``bad_exchange_file``; ``expression_mismatch`` when it has more expressions
            than the head model; ``moving_vertices`` when vertices have offsets frame by frame.
    """
    arrays = _load(path)
    expr = arrays.get("expr")
    if expr is None or expr.ndim != 2 or not len(expr):  # noqa: PLR2004 - [T, E]
        raise _refusal(path, "expr [T, E] is not there")
    if expr.shape[1] != n_expressions:
        raise InvalidInput(
            "expression_mismatch",
            f"{path} has {expr.shape[1]} expression coefficients, the head model {n_expressions}; "
            "use the head model (and the edition of FLAME) that it was tracked with",
        )
    n_frames = len(expr)
    tracks = {"expr": expr}
    for name, width in WIDTHS.items():
        found = arrays.get(name)
        if found is None or found.shape != (n_frames, width):
            told = "not there" if found is None else f"{list(found.shape)}"
            raise _refusal(path, f"{name} is {told}, expected {[n_frames, width]}")
        tracks[name] = found
    moving = arrays.get("dynamic_offset")
    if moving is not None and np.abs(moving).max(initial=0) > MAX_OFFSET_M:
        raise InvalidInput(
            "moving_vertices",
            f"dynamic_offset of {path} is not zero; no method here moves vertices frame by frame: "
            "export with the dynamic offset off",
        )
    shape, offset = arrays.get("shape"), arrays.get("static_offset")
    return FlameSequence(
        pose=HeadPose(*(torch.from_numpy(tracks[name]) for name in HeadPose._fields)),
        shape=None if shape is None else torch.from_numpy(shape.reshape(-1)),
        static_offset=None if offset is None else torch.from_numpy(offset.reshape(-1, 3)),
    )


def _load(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name], np.float32) for name in stored.files}
    except (ValueError, zipfile.BadZipFile, TypeError) as error:
        raise _refusal(path, str(error)) from error
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise _refusal(path, f"{name} has values that are no numbers")
    return arrays


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput("bad_exchange_file", f"{path} cannot be imported: {reason}")
