"""What every artifact folder has: a ``manifest.json`` written last, and arrays that match it.

A folder without its manifest is an unfinished attempt. Manifests hold no time stamps: equal
inputs and seeds give equal bytes.
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import InvalidInput

MANIFEST = "manifest.json"
TIMING = "timing.json"
"""How long a stage took; not hashed, so that equal inputs still give equal manifests."""
ArtifactKind = Literal[
    "upload", "tracked_dataset", "avatar", "motion_model", "motion", "video", "scores"
]
Arrays = dict[str, NDArray[np.generic]]


class Column(NamedTuple):
    """One row of an artifact's table of arrays."""

    dtype: str
    """NumPy type name."""
    shape: tuple[int | str, ...]
    """Sizes; a name such as "T" must be the same number wherever it stands."""
    unit: str
    meaning: str


class Manifest(BaseModel):
    """Base of all manifests."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: ArtifactKind
    """What this folder is."""
    schema_version: int = 1
    """Raised whenever the layout changes."""
    files: dict[str, str] = {}
    """SHA-256 of each file of the folder, by its path inside it."""


M = TypeVar("M", bound=Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Hash the folder's files and write its manifest, the last file of an artifact."""
    files = {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path not in {folder / MANIFEST, folder / TIMING}
        and path.suffix != ".part"
    }
    text = manifest.model_copy(update={"files": files}).model_dump_json(indent=2)
    part = folder / (MANIFEST + ".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(folder / MANIFEST)


def read_manifest(folder: Path, model: type[M]) -> M:
    """Read and check ``folder``'s manifest.

    Raises:
        InvalidInput: ``not_an_artifact`` when it is absent, of another kind or malformed;
            ``newer_schema`` when a later version of the product wrote it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidInput(
            "not_an_artifact",
            f"{folder} has no {MANIFEST}; it is not an artifact, or its stage did not finish",
        )
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_newer(path, json.loads(text), model)
        return model.model_validate_json(text)
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "not_an_artifact", f"{path} is not a {model.__name__}: {error}"
        ) from error


def _refuse_newer(path: Path, stored: object, model: type[M]) -> None:
    """Only an artifact of the right kind can be too new."""
    fields = model.model_fields
    if not isinstance(stored, dict) or stored.get("kind") != fields["kind"].default:
        return
    found, known = stored.get("schema_version"), fields["schema_version"].default
    if isinstance(found, int) and found > known:
        raise InvalidInput(
            "newer_schema",
            f"{path} has schema version {found}, this version reads up to {known}; "
            "update the product, or make the artifact again",
        )


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], table: Mapping[str, Column]
) -> None:
    """Check ``arrays`` against ``table`` and store them as npz."""
    check_arrays(arrays, table, path.name)
    np.savez(path, **arrays)


def read_arrays(path: Path, table: Mapping[str, Column]) -> Arrays:
    """Load an npz file and check it against ``table``; nothing is unpickled."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays: Arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput("bad_arrays", f"{path} cannot be read: {error}") from error
    check_arrays(arrays, table, path.name)
    return arrays


def array_names(path: Path) -> list[str]:
    """Names of the arrays in an npz file, for tables with optional rows.

    Raises:
        InvalidInput: ``bad_arrays`` when it cannot be read.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return list(stored.files)
    except (AttributeError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput("bad_arrays", f"{path} cannot be read: {error}") from error


def check_arrays(
    arrays: Mapping[str, NDArray[np.generic]], table: Mapping[str, Column], name: str
) -> None:
    """Raise ``bad_arrays`` unless names, types and symbolic shapes agree with ``table``."""
    if set(arrays) != set(table):
        raise InvalidInput("bad_arrays", f"{name} holds {sorted(arrays)}, expected {sorted(table)}")
    sizes: dict[str, int] = {}
    for key, column in table.items():
        found = arrays[key]
        expected = [
            sizes.setdefault(size, actual) if isinstance(size, str) else size
            for size, actual in zip(column.shape, found.shape, strict=False)
        ]
        if (
            str(found.dtype) != column.dtype
            or len(found.shape) != len(column.shape)
            or list(found.shape) != expected
        ):
            raise InvalidInput(
                "bad_arrays",
                f"{name}: {key} is {found.dtype}{list(found.shape)}, "
                f"expected {column.dtype}{list(column.shape)} with {sizes}",
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
