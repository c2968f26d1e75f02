"""Finds plug-ins by file name: a folder is a kind, a file in it is an implementation.

Listing a folder imports nothing, so one broken or heavy plug-in cannot hurt another.
"""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from shared.errors import InvalidInput, MissingModel


def plugin_names(package: str) -> list[str]:
    """Names of the implementations in ``package``, for example ``shared.rasterizers``."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput("unknown_plugin_kind", f"{package} is not a folder of plug-ins")
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    return sorted(
        file.stem for folder in folders for file in folder.glob("*.py") if file.stem != "__init__"
    )


def load_plugin(package: str, name: str) -> ModuleType:
    """Import the implementation ``name`` of ``package``.

    Raises:
        InvalidInput: there is no such file; the message lists what there is.
        MissingModel: a library that the plug-in needs is not installed.
    """
    names = plugin_names(package)
    if name not in names:
        raise InvalidInput(
            "unknown_plugin", f"no {name!r} in {package}; there are: {', '.join(names)}"
        )
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in {"shared", "services", "api"}:
            raise
        raise MissingModel(
            "missing_library",
            f"{package}.{name} needs the library {error.name!r}; "
            "install it with: pip install -e '.[all]'",
        ) from error
