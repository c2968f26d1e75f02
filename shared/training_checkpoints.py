"""Checkpoints: the model, Adam's state and the step, so that a killed training goes on."""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file
from torch import Tensor

from shared.avatar_store import save_tensors

SHARE_BETWEEN = 0.04
"""Checkpoints are this share of all steps apart: what a kill costs at most."""


class Checkpoint(NamedTuple):
    """Where a training stood."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    curve: list[dict[str, float]]


def save_checkpoint(folder: Path, key: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the index is replaced last, so that a kill leaves the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{checkpoint.step:07d}"
    save_tensors(folder / f"{name}.model.safetensors", checkpoint.model)
    save_tensors(folder / f"{name}.optimizer.safetensors", checkpoint.optimizer)
    index = {"step": checkpoint.step, "key": key, "curve": checkpoint.curve}
    part = folder / "latest.json.part"
    part.write_text(json.dumps(index), encoding="utf-8")
    part.replace(folder / "latest.json")
    for old in folder.glob("*.safetensors"):
        if not old.name.startswith(name):
            old.unlink()


def load_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """The latest checkpoint of the same training, or None.

    Args:
        folder: Where checkpoints lie.
        key: Names dataset, options and code version; a checkpoint of another key is not used.
    """
    path = folder / "latest.json"
    if not path.is_file():
        return None
    index = json.loads(path.read_text(encoding="utf-8"))
    if index["key"] != key:
        return None
    name = f"{index['step']:07d}"
    return Checkpoint(
        step=index["step"],
        model=load_file(folder / f"{name}.model.safetensors"),
        optimizer=load_file(folder / f"{name}.optimizer.safetensors"),
        curve=index["curve"],
    )
