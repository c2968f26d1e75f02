"""Loads an operator's weight files: nothing is unpickled, every name and shape is compared."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from shared.errors import InvalidInput, MissingModel
from shared.model_files import LEDGER

N = TypeVar("N", bound=nn.Module)

_UNUSED = ".num_batches_tracked"
"""Counters of batch normalisation in training; older files lack them."""


def load_network(network: N, models_dir: Path, name: str, *, ignored: tuple[str, ...] = ()) -> N:
    """Fill ``network`` with the file ``name`` of the models folder, ready for inference.

    Args:
        network: Has the published names and shapes.
        models_dir: The operator's folder.
        name: File name, a row of the ledger.
        ignored: Beginnings of names that the file may hold besides.

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_model_file`` names the first entry that is not as published.
    """
    state = read_state(models_dir, name)
    kept = {key: value for key, value in state.items() if not key.startswith(ignored or ("\0",))}
    check_state(name, kept, network.state_dict())
    network.load_state_dict(kept, strict=False)
    network.requires_grad_(requires_grad=False)
    return network.eval()


def read_state(models_dir: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        MissingModel: ``missing_model_file``.
        InvalidInput: ``bad_model_file`` when it holds anything else.
    """
    path = models_dir / name
    if not path.is_file():
        raise MissingModel("missing_model_file", missing_file(name))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()[:1]
        raise InvalidInput(
            "bad_model_file", f"{name} cannot be read as weights: {' '.join(said)}"
        ) from error
    is_state = isinstance(state, Mapping) and all(isinstance(x, Tensor) for x in state.values())
    if not is_state:
        raise InvalidInput("bad_model_file", f"{name} must hold tensors by name and nothing else")
    return dict(state)


def check_state(name: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Compare names and shapes with what was published.

    Raises:
        InvalidInput: ``bad_model_file``.
    """
    problems = [
        *(f"{key} is missing" for key in _sorted(expected.keys() - found.keys())),
        *(f"{key} is unknown" for key in _sorted(found.keys() - expected.keys())),
        *(
            f"{key} is {list(value.shape)}, expected {list(expected[key].shape)}"
            for key, value in found.items()
            if key in expected and value.shape != expected[key].shape
        ),
    ]
    if problems:
        raise InvalidInput(
            "bad_model_file",
            f"{name} is not as its owner publishes it: {'; '.join(problems[:4])}"
            + (f"; and {len(problems) - 4} more" if len(problems) > 4 else ""),  # noqa: PLR2004
        )


def missing_file(name: str) -> str:
    """What to tell where a file is absent."""
    owner = next((row.owner for row in LEDGER if row.name == name), "its owner")
    return f"{name} is not in the models folder (TALKSPLAT_MODELS_DIR); get it from {owner}"


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.endswith(_UNUSED))
