"""Moves inputs from the store into a workspace, and outputs to the store, the manifest last."""

import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from shared.contracts.artifact import MANIFEST
from shared.contracts.store_key import is_store_key
from shared.errors import InvalidInput, Unavailable
from shared.object_store import Store
from shared.observability.logs import log_event
from shared.worker.stopping import Stop

FINAL_EVENT = "final_event.json"
"""Object beside the outputs: the event that ended the attempt, for when the command comes again."""
MAX_INPUT_BYTES = 32 << 30
MAX_OUTPUT_FILES = 200_000
MAX_SMALL_BYTES = 64 << 20
"""Of a manifest."""
PATIENCE_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Waits between tries while the store is away: about a minute."""
TRANSFERS = 6
"""Files moved at once: small ones wait for the server, not for the network."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Uploaded(NamedTuple):
    """What an attempt left in the store."""

    manifest_sha256: str
    n_files: int
    n_bytes: int


def patiently(action: Callable[[], T], stop: Stop) -> T:
    """Do ``action`` again while the store is away.

    Raises:
        Unavailable: it stayed away.
        StageStopped: the run shall stop.
    """
    for wait_seconds in PATIENCE_SECONDS:
        stop.check()
        try:
            return action()
        except Unavailable as error:
            log_event(_log, "store_awaited", reason=error.message)
        stop.wait(wait_seconds)
    return action()


def fetch_inputs(store: Store, inputs: Mapping[str, str], folder: Path, stop: Stop) -> int:
    """Bring every input into ``folder`` and return the number of bytes.

    Raises:
        InvalidInput: ``object_not_found`` an object or a manifest is not there; ``too_large``.
        Unavailable: ``store_unavailable``; ``input_damaged`` what came is not what was stored.
    """
    n_bytes = 0
    for path in sorted(inputs):
        source, target = inputs[path], folder / path
        if source.endswith("/"):
            n_bytes += _fetch_artifact(store, source, target, stop)
        else:
            n_bytes += _fetch_file(store, source, target, stop)
        if n_bytes > MAX_INPUT_BYTES:
            raise InvalidInput("too_large", f"inputs of more than {MAX_INPUT_BYTES} bytes")
    return n_bytes


def upload_outputs(store: Store, out: Path, prefix: str, stop: Stop) -> Uploaded:
    """Send every file below ``out`` but the manifest, whose digest is returned.

    The stage's process has decoded strangers' files, so nothing that it left is trusted: links and
    other things that are no plain files are refused.

    Raises:
        InvalidInput: ``bad_output``.
        Unavailable: ``store_unavailable``.
    """
    files = _plain_files(out)
    manifest = files.pop(MANIFEST, None)
    if manifest is None:
        raise InvalidInput("bad_output", f"the stage ended without writing {MANIFEST}")
    n_bytes = manifest.lstat().st_size

    def put(name: str) -> int:
        patiently(lambda: store.put_file(prefix + name, files[name], stop.checked), stop)
        return files[name].lstat().st_size

    n_bytes += sum(_at_once(put, sorted(files)))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    return Uploaded(digest, len(files) + 1, n_bytes)


def upload_manifest(store: Store, out: Path, prefix: str, stop: Stop) -> None:
    """Make the artifact complete."""
    patiently(lambda: store.put_file(prefix + MANIFEST, out / MANIFEST), stop)


def _fetch_artifact(store: Store, prefix: str, folder: Path, stop: Stop) -> int:
    listed = patiently(lambda: list(store.list_objects(prefix)), stop)
    names = [info.key.removeprefix(prefix) for info in listed]
    if MANIFEST not in names:
        raise InvalidInput("object_not_found", f"{prefix} holds no finished artifact")
    names = [name for name in names if name != FINAL_EVENT]
    sizes = _at_once(lambda name: _fetch_file(store, prefix + name, folder / name, stop), names)
    _verify(folder)
    return sum(sizes)


def _at_once(action: Callable[[str], int], names: Sequence[str]) -> list[int]:
    """Do ``action`` for all names, several at a time; the first error ends it."""
    with ThreadPoolExecutor(TRANSFERS) as pool:
        try:
            return list(pool.map(action, names))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_file(store: Store, key: str, path: Path, stop: Stop) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)

    def fetch() -> int:
        return store.get_file(key, path, max_bytes=MAX_INPUT_BYTES, moved=stop.checked)

    return patiently(fetch, stop)


def _verify(folder: Path) -> None:
    """Compare an artifact with the digests of its manifest."""
    for name, digest in _digests(folder / MANIFEST).items():
        path = folder / name
        if not is_store_key(name) or not path.is_file():
            raise Unavailable("input_damaged", f"{name} of an input is missing")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise Unavailable("input_damaged", f"{name} of an input is not what its manifest says")


def _digests(manifest: Path) -> dict[str, str]:
    if manifest.stat().st_size > MAX_SMALL_BYTES:
        raise InvalidInput("too_large", "an input's manifest is too large")
    try:
        said: Any = json.loads(manifest.read_bytes())
    except ValueError as error:
        raise Unavailable("input_damaged", "the manifest of an input is not JSON") from error
    files = said.get("files", {}) if isinstance(said, dict) else {}
    return {str(name): str(digest) for name, digest in files.items()}


def _plain_files(out: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(out, followlinks=False):
        for name in [*folders, *names]:
            path = Path(folder) / name
            kind = path.lstat().st_mode
            key = path.relative_to(out).as_posix()
            if stat.S_ISDIR(kind):
                continue
            if not stat.S_ISREG(kind) or not is_store_key(key):
                raise InvalidInput("bad_output", f"the stage wrote {key[:80]!r}, no plain file")
            if path.suffix != ".part":
                found[key] = path
            if len(found) > MAX_OUTPUT_FILES:
                raise InvalidInput("bad_output", f"over {MAX_OUTPUT_FILES} files were written")
    return found
