"""Reads networks that others trained: nothing unpickled, and every name and shape as published."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from shared.errors import InvalidInput

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """Named tensors of a torch file; with ``weights_only``, so that it can run no code.

    Raises:
        InvalidInput: ``bad_model_file`` it is something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidInput(
            "bad_model_file",
            f"{path} is no file of named tensors ({type(error).__name__}); get it from its owner "
            "again",
        ) from error
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise InvalidInput(
            "bad_model_file", f"{path} holds more than named tensors; take the published file"
        )
    return {str(name): value for name, value in state.items()}


def check_state(state: State, wanted: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Compare names and shapes with the published ones.

    Args:
        state: What was read.
        wanted: Shape by name.
        source: What it was read from, for the message.

    Raises:
        InvalidInput: ``bad_model_file`` names the first parameters that differ.
    """
    missing = [name for name in wanted if name not in state]
    surplus = [name for name in state if name not in wanted]
    reshaped = [
        f"{name} is {list(state[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in state and tuple(state[name].shape) != tuple(shape)
    ]
    problems = [
        *(f"{name} is missing" for name in missing[:3]),
        *(f"{name} is unknown" for name in surplus[:3]),
        *reshaped[:3],
    ]
    if problems:
        n_all = len(missing) + len(surplus) + len(reshaped)
        rest = f" and {n_all - len(problems)} more" if n_all > len(problems) else ""
        raise InvalidInput(
            "bad_model_file",
            f"{source} is not the published network: {'; '.join(problems)}{rest}",
        )


def fill(network: nn.Module, state: State, source: str) -> None:
    """Give a network built on the meta device its parameters, for use and not for training.

    Raises:
        InvalidInput: ``bad_model_file`` names what differs.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    check_state(state, wanted, source)
    network.load_state_dict(state, assign=True)
    network.eval().requires_grad_(requires_grad=False)
