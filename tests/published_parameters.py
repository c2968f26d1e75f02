"""Names and shapes of published weight files, and files of exactly that layout."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from tests.architecture.repository import ROOT

FOLDER = ROOT / "tests" / "data" / "parameters"
State = dict[str, Tensor]


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of ``tests/data/parameters/NAME.json``."""
    listed = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert listed["source"]
    return {key: tuple(shape) for key, shape in listed["parameters"].items()}


def random_state(name: str, seed: int = 0) -> State:
    """Random values of that layout that keep activations near one."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for key, shape in published_shapes(name).items():
        values = torch.randn(shape, generator=generator)
        if key.endswith("running_var"):
            state[key] = 0.5 + values.abs()
        elif len(shape) > 1:
            state[key] = values / math.sqrt(math.prod(shape[1:]))
        else:
            state[key] = 1 + 0.1 * values if key.endswith("weight") else 0.1 * values
    return state


def small_state(name: str) -> State:
    """One random number per parameter, seen at all its places: large layouts in small files."""
    shapes = published_shapes(name)
    values = torch.rand(len(shapes), generator=torch.Generator().manual_seed(0))
    return {
        key: value.clone().expand(shape)
        for (key, shape), value in zip(shapes.items(), values, strict=True)
    }


def partly_random(backbone: str) -> State:
    """Random values for the layers in use only: the classifier has a hundred million."""
    generator = torch.Generator().manual_seed(2)
    state = small_state(backbone)
    for key, value in state.items():
        if key.startswith("features"):
            fan = math.prod(value.shape[1:]) if value.dim() > 1 else 100
            state[key] = torch.randn(value.shape, generator=generator) * math.sqrt(2 / fan)
    return state


def save_state(folder: Path, file: str, state: State) -> Path:
    """A file as torch saves it; the folder."""
    torch.save(state, folder / file)
    return folder
