"""Objects in this process's memory, ``memory://name``: for tests; gone with the process."""

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult

from shared.errors import InvalidInput
from shared.object_store import (
    CHUNK,
    ObjectInfo,
    PresignedPost,
    Removed,
    Transferred,
    check_key,
    check_prefix,
    ignore,
)
from shared.store_links import sign_form, sign_link


class _Object(NamedTuple):
    data: bytes
    modified_at: datetime


_STORES: dict[str, "MemoryStore"] = {}
_STORES_LOCK = threading.Lock()


def open_store(url: SplitResult) -> "MemoryStore":
    """The process's store of this name, the same one every time."""
    with _STORES_LOCK:
        return _STORES.setdefault(url.netloc + url.path, MemoryStore())


class MemoryStore:
    """A dictionary behind a lock."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}
        self._lock = threading.Lock()
        self.link_secret = secrets.token_bytes(32)

    def prepare(self) -> None:
        """Nothing to make."""

    def check(self) -> None:
        """Always there."""

    def put_file(self, key: str, path: Path, moved: Transferred = ignore) -> None:
        """Read a file into memory."""
        data = path.read_bytes()
        for start in range(0, len(data), CHUNK):
            moved(len(data[start : start + CHUNK]))
        self.put_bytes(key, data)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Keep a few bytes."""
        with self._lock:
            self._objects[check_key(key)] = _Object(data, datetime.now(UTC))

    def get_file(self, key: str, path: Path, *, max_bytes: int, moved: Transferred = ignore) -> int:
        """Write an object out."""
        data = self.get_bytes(key, max_bytes=max_bytes)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as target:
            for start in range(0, len(data), CHUNK):
                moved(target.write(data[start : start + CHUNK]))
        part.replace(path)
        return len(data)

    def get_bytes(self, key: str, *, max_bytes: int) -> bytes:
        """Read an object."""
        data = self._find(key).data
        if len(data) > max_bytes:
            raise InvalidInput(
                "too_large", f"{key} has {len(data)} bytes, at most {max_bytes} are taken"
            )
        return data

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a part in chunks."""
        data = self._find(key).data[start:]
        data = data if length is None else data[:length]
        return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))

    def stat(self, key: str) -> ObjectInfo:
        """Size and age."""
        found = self._find(key)
        return ObjectInfo(key, len(found.data), found.modified_at)

    def exists(self, key: str) -> bool:
        """Tell whether it is there."""
        with self._lock:
            return check_key(key) in self._objects

    def list_objects(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """What is there now."""
        if prefix:
            check_prefix(prefix)
        with self._lock:
            found = sorted(
                (key, held)
                for key, held in self._objects.items()
                if key.startswith(prefix) and key > start_after
            )
        return (ObjectInfo(key, len(held.data), held.modified_at) for key, held in found)

    def delete(self, key: str) -> None:
        """Forget an object."""
        with self._lock:
            self._objects.pop(check_key(key), None)

    def delete_prefix(self, prefix: str) -> Removed:
        """Forget every object below ``prefix``."""
        check_prefix(prefix)
        with self._lock:
            keys = [key for key in self._objects if key.startswith(prefix)]
            sizes = [len(self._objects.pop(key).data) for key in keys]
        return Removed(len(sizes), sum(sizes))

    def copy(self, source: str, target: str) -> None:
        """Keep the same bytes under another key."""
        check_key(target)
        self.put_bytes(target, self._find(source).data)

    def presign_get(
        self, key: str, *, now: datetime, expires: timedelta, download_name: str
    ) -> str:
        """Path and query of the gateway's route."""
        return sign_link(
            self.link_secret, check_key(key), now=now, expires=expires, download_name=download_name
        )

    def presign_post(
        self, key: str, *, now: datetime, expires: timedelta, n_bytes: tuple[int, int]
    ) -> PresignedPost:
        """Form for the gateway's route."""
        return sign_form(
            self.link_secret, check_key(key), now=now, expires=expires, n_bytes=n_bytes
        )

    def _find(self, key: str) -> _Object:
        with self._lock:
            found = self._objects.get(check_key(key))
        if found is None:
            raise InvalidInput("object_not_found", f"there is no object {key}")
        return found
