"""Carries a stage's checkpoints through the store, from one attempt to the next.

A checkpoint is a folder ``{attempt}-{number}-{run}/`` whose ``checkpoint.json`` comes last. The
next attempt takes the greatest complete one, so a stray worker of an older one hurts nobody.
"""

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from shared.contracts.store_key import is_store_key
from shared.errors import InvalidInput
from shared.object_store import Store
from shared.observability.logs import log_event
from shared.worker.stopping import Stop
from shared.worker.transfer import MAX_INPUT_BYTES, MAX_SMALL_BYTES, patiently

_INDEX = "checkpoint.json"
_NAME = re.compile(r"(\d{7})-(\d{7})-([0-9a-f]{8})")
_log = logging.getLogger(__name__)


class CheckpointName(NamedTuple):
    """Greater for a later attempt, and within one for a later checkpoint."""

    attempt: int
    number: int
    """From 1 within one attempt."""
    run: str
    """Eight hexadecimal digits of its own for every run: two never share a folder."""

    def __str__(self) -> str:
        return f"{self.attempt:07d}-{self.number:07d}-{self.run}"


def save_checkpoint(
    store: Store, prefix: str, name: CheckpointName, snapshot: Path, stop: Stop
) -> None:
    """Upload the files of ``snapshot`` as checkpoint ``name`` and remove the ones before it.

    Raises:
        Unavailable: ``store_unavailable``.
        StageStopped: the run shall stop.
    """
    files = {
        path.relative_to(snapshot).as_posix(): path
        for path in sorted(snapshot.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    for file, path in files.items():
        patiently(lambda: store.put_file(f"{prefix}{name}/{file}", path, stop.checked), stop)  # noqa: B023
    index = {"files": {file: _sha256(path) for file, path in files.items()}}
    body = json.dumps(index).encode()
    patiently(lambda: store.put_bytes(f"{prefix}{name}/{_INDEX}", body), stop)
    for older in _names(store, prefix):
        if older < name:
            store.delete_prefix(f"{prefix}{older}/")


def restore_checkpoint(
    store: Store, prefix: str, folder: Path, stop: Stop
) -> CheckpointName | None:
    """Bring the latest complete checkpoint into ``folder`` and return its name.

    A damaged checkpoint is passed over for the one before.

    Raises:
        Unavailable: ``store_unavailable``.
    """
    for name in sorted(patiently(lambda: _names(store, prefix), stop), reverse=True):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            digests = _read_index(store, f"{prefix}{name}/", stop)
            folder.mkdir(parents=True)
            for file, digest in digests.items():
                _fetch(store, f"{prefix}{name}/{file}", folder / file, digest, stop)
        except (_DamagedError, KeyError, ValueError, InvalidInput) as error:
            log_event(_log, "checkpoint_passed_over", checkpoint=str(name), reason=str(error))
        else:
            return name
    shutil.rmtree(folder, ignore_errors=True)
    return None


class _DamagedError(Exception):
    """A checkpoint is not what it says."""


def _names(store: Store, prefix: str) -> list[CheckpointName]:
    listed = (info.key.removeprefix(prefix) for info in store.list_objects(prefix))
    found = (_NAME.fullmatch(folder) for folder in {key.split("/")[0] for key in listed})
    return [CheckpointName(int(m[1]), int(m[2]), m[3]) for m in found if m]


def _read_index(store: Store, prefix: str, stop: Stop) -> dict[str, str]:
    body = patiently(lambda: store.get_bytes(prefix + _INDEX, max_bytes=MAX_SMALL_BYTES), stop)
    said: Any = json.loads(body)
    files: dict[str, str] = said["files"]
    if not all(is_store_key(name) for name in files):
        raise _DamagedError("names that lead elsewhere")
    return files


def _fetch(store: Store, key: str, path: Path, digest: str, stop: Stop) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    patiently(
        lambda: store.get_file(key, path, max_bytes=MAX_INPUT_BYTES, moved=stop.checked), stop
    )
    if _sha256(path) != digest:
        raise _DamagedError(f"{path.name} has another digest")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
