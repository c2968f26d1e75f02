"""What a service offers to workers: its entries, by name, in ``services/*/tasks.py``.

The module is imported in the child only, so that the worker itself stays small.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from shared.contracts.event import Fact
from shared.errors import InvalidInput
from shared.progress import Progress

Facts = dict[str, Fact]
RunEntry = Callable[[Path, dict[str, Any], Path, Progress], Facts]
"""``(inputs, options, out, progress) -> facts``: calls a stage function on folders of the workspace
and names the few figures that the gateway shows."""


class StageEntry(NamedTuple):
    """One thing that workers of a service can do."""

    run: RunEntry
    kept: tuple[str, ...] = ()
    """Folders inside ``out`` that the next attempt needs to go on where this one was."""
    checkpoint: str = "checkpoints/latest.json"
    """File in one of them that is replaced last when the stage has made a checkpoint."""


O = TypeVar("O", bound=BaseModel)


def service_modules(service: str) -> tuple[str, ...]:
    """Modules that hold a service's entries."""
    return (f"services.{service}.tasks", "shared.worker.heartbeat")


def find_entry(modules: Sequence[str], name: str) -> StageEntry:
    """Import ``modules`` and return the entry ``name`` of their ``ENTRIES``.

    Raises:
        InvalidInput: ``unknown_entry``; the message lists what there is.
    """
    known: dict[str, StageEntry] = {}
    for module in modules:
        entries: Mapping[str, StageEntry] = importlib.import_module(module).ENTRIES
        known.update(entries)
    if name not in known:
        raise InvalidInput(
            "unknown_entry", f"no entry {name!r}; these workers know {', '.join(sorted(known))}"
        )
    return known[name]


def parse_options(model: type[O], options: Mapping[str, Any]) -> O:
    """Check what the user chose.

    Raises:
        InvalidInput: ``bad_options`` names the first option that is wrong.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in problem["loc"]) or "options"
        raise InvalidInput("bad_options", f"{name}: {problem['msg']}") from error
