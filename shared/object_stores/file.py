"""Objects as files of one folder, ``file:///path``: for one machine, nothing to install.

An object is written beside the others, flushed to disk and renamed to its place. Downloads and
uploads of browsers go through the gateway (``shared/store_links.py``).
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote

from shared.errors import InvalidInput, Unavailable
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

_OBJECTS, _INCOMING, _SECRET = "objects", "incoming", "link_secret"
_TRIES = 20
_ABANDONED_SECONDS = 24 * 3600
"""Nobody writes at an object for a day without adding to it."""


def open_store(url: SplitResult) -> "FileStore":
    """Open the folder that ``url`` names."""
    path = unquote(url.path)
    if url.netloc not in {"", "localhost"} or not path.startswith("/") or path == "/":
        raise InvalidInput(
            "bad_store_url", "a folder store is named by an absolute path: file:///path/of/folder"
        )
    return FileStore(Path(path))


class FileStore:
    """Keys are paths below ``objects/``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / _OBJECTS
        self._incoming = root / _INCOMING

    @property
    def link_secret(self) -> bytes:
        """Signs links; made once and kept in the folder, readable to its owner only."""
        path = self._root / _SECRET
        with _reachable(self._root):
            if not path.is_file():
                part = path.with_name(f"{_SECRET}.{secrets.token_hex(8)}")
                with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as stream:
                    stream.write(secrets.token_bytes(32))
                try:
                    os.link(part, path)  # the first of several processes wins
                except FileExistsError:
                    pass
                finally:
                    part.unlink()
            return path.read_bytes()

    def prepare(self) -> None:
        """Make the folder, and remove what killed processes have left half-written."""
        with _reachable(self._root):
            self._objects.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(exist_ok=True)
            for part in self._incoming.iterdir():
                if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink(missing_ok=True)

    def check(self) -> None:
        """Write and remove a file."""
        with _reachable(self._root):
            probe = self._incoming / f"check-{secrets.token_hex(8)}"
            probe.touch()
            probe.unlink()

    def put_file(self, key: str, path: Path, moved: Transferred = ignore) -> None:
        """Copy a file to its place."""
        with path.open("rb") as source:

            def fill(stream: BinaryIO) -> None:
                while chunk := source.read(CHUNK):
                    stream.write(chunk)
                    moved(len(chunk))

            self._put(key, fill)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a few bytes."""
        self._put(key, lambda stream: stream.write(data))

    def get_file(self, key: str, path: Path, *, max_bytes: int, moved: Transferred = ignore) -> int:
        """Copy an object out."""
        part = path.with_name(path.name + ".part")
        size = 0
        with self._open(key) as source, part.open("wb") as target:
            _check_size(key, os.fstat(source.fileno()).st_size, max_bytes)
            while chunk := source.read(CHUNK):
                target.write(chunk)
                size += len(chunk)
                moved(len(chunk))
        part.replace(path)
        return size

    def get_bytes(self, key: str, *, max_bytes: int) -> bytes:
        """Read a small object."""
        with self._open(key) as source:
            _check_size(key, os.fstat(source.fileno()).st_size, max_bytes)
            return source.read()

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a part in chunks; a file replaced meanwhile is read to its old end."""
        source = self._open(key)

        def chunks() -> Iterator[bytes]:
            left = length
            with source:
                source.seek(start)
                while chunk := source.read(CHUNK if left is None else min(CHUNK, left)):
                    left = None if left is None else left - len(chunk)
                    yield chunk

        return chunks()

    def stat(self, key: str) -> ObjectInfo:
        """Size and age."""
        with _reachable(self._root, key):
            found = self._path(key).stat()
            if not self._path(key).is_file():
                raise _not_found(key)
        return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def exists(self, key: str) -> bool:
        """Tell whether the file is there."""
        return self._path(key).is_file()

    def list_objects(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """Walk the folder in the order of keys."""
        if prefix:
            check_prefix(prefix)
        return self._walk(self._objects / prefix, prefix, start_after)

    def delete(self, key: str) -> None:
        """Remove the file and folders that became empty."""
        with _reachable(self._root):
            path = self._path(key)
            if path.is_file():
                path.unlink(missing_ok=True)
                self._prune(path.parent)

    def delete_prefix(self, prefix: str) -> Removed:
        """Remove a folder."""
        check_prefix(prefix)
        infos = list(self.list_objects(prefix))
        with _reachable(self._root):
            shutil.rmtree(self._objects / prefix, ignore_errors=True)
            for info in self.list_objects(prefix):  # written meanwhile
                self.delete(info.key)
            self._prune((self._objects / prefix).parent)
        return Removed(len(infos), sum(info.size for info in infos))

    def copy(self, source: str, target: str) -> None:
        """Copy a file."""
        check_key(target)
        with self._open(source) as stream:
            self._put(target, lambda sink: shutil.copyfileobj(stream, sink, CHUNK))

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

    def _path(self, key: str) -> Path:
        return self._objects / check_key(key)

    def _open(self, key: str) -> BinaryIO:
        with _reachable(self._root, key):
            return self._path(key).open("rb")

    def _put(self, key: str, fill: Callable[[BinaryIO], object]) -> None:
        path = self._path(key)
        part = self._incoming / secrets.token_hex(16)
        try:
            with _reachable(self._root):
                with part.open("wb") as stream:
                    fill(stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                _settle(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _walk(self, folder: Path, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        named = [(e.name + "/" * e.is_dir(follow_symlinks=False), e) for e in entries]
        for name, entry in sorted(named, key=lambda pair: pair[0]):
            key = prefix + name
            if name.endswith("/"):
                if start_after[: len(key)] <= key:
                    yield from self._walk(folder / entry.name, key, start_after)
            elif key > start_after:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed meanwhile
                yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def _prune(self, folder: Path) -> None:
        while folder != self._objects:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return  # not empty
            folder = folder.parent


def _settle(part: Path, path: Path) -> None:
    """Rename, making folders that another thread may be pruning at this moment."""
    for left in reversed(range(_TRIES)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        except FileNotFoundError:
            if not left:
                raise
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            if not left:
                raise InvalidInput(
                    "bad_store_key", f"{path.name}: one key would be a folder of another"
                ) from error
        else:
            return
        time.sleep(0.001)


@contextmanager
def _reachable(root: Path, key: str | None = None) -> Iterator[None]:
    """Say what an error of the file system means for the store."""
    try:
        yield
    except OSError as error:
        is_absent = isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError)
        if is_absent and key is not None and root.is_dir():
            raise _not_found(key) from error
        raise Unavailable("store_unavailable", f"the store's folder fails: {error}") from error


def _not_found(key: str) -> InvalidInput:
    return InvalidInput("object_not_found", f"there is no object {key}")


def _check_size(key: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise InvalidInput("too_large", f"{key} has {size} bytes, at most {max_bytes} are taken")
