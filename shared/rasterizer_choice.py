"""Chooses the rasterizer that a machine draws with; the choice is logged, never silent."""

import logging
from typing import TYPE_CHECKING, Literal, NamedTuple

from shared.errors import MissingModel
from shared.observability.logs import log_event
from shared.plugins import load_plugin

if TYPE_CHECKING:  # it brings torch, which the command line's help need not wait for
    from shared.rasterizer import Rasterizer

Device = Literal["auto", "cpu", "cuda"]

AUTO = "auto"
"""In options in place of a registry name: what ``choose_rasterizer`` says where the stage runs."""

_BY_DEVICE = {"cpu": "cpu", "cuda": "gsplat_cuda"}
_KIND = "shared.rasterizers"
_log = logging.getLogger(__name__)


class Choice(NamedTuple):
    """A rasterizer, and why it was chosen."""

    name: str
    """Registry name, for manifests."""
    reason: str


def choose_rasterizer(device: Device) -> Choice:
    """The rasterizer for ``device``; ``auto`` takes a GPU where one can be used.

    Raises:
        MissingModel: ``no_gpu`` or ``missing_library`` where ``cuda`` was asked for in vain.
    """
    if device == "cpu":
        # Not loaded here: Numba must not be imported before its threads are set up.
        return _logged(Choice(_BY_DEVICE["cpu"], "cpu was asked for"))
    name = _BY_DEVICE["cuda"]
    if device == "cuda":
        _load_ready(name)
        return _logged(Choice(name, "cuda was asked for"))
    try:
        _load_ready(name)
    except MissingModel as missing:
        return _logged(Choice(_BY_DEVICE["cpu"], f"not {name}: {missing.message}"))
    return _logged(Choice(name, "this machine has a GPU"))


def open_rasterizer(name: str) -> "tuple[str, Rasterizer]":
    """The rasterizer that options ask for, by registry name or ``auto``, and its registry name.

    Raises:
        InvalidInput: ``unknown_plugin``.
        MissingModel: ``no_gpu`` or ``missing_library``.
    """
    chosen = choose_rasterizer("auto").name if name == AUTO else name
    return chosen, _load_ready(chosen)


def _load_ready(name: str) -> "Rasterizer":
    module: Rasterizer = load_plugin(_KIND, name)
    module.require_ready()
    return module


def _logged(choice: Choice) -> Choice:
    log_event(_log, "rasterizer_chosen", rasterizer=choice.name, reason=choice.reason)
    return choice
