"""Object store: where captures, artifacts and checkpoints lie, under keys with slashes.

``open_store(url)`` takes ``file:///folder``, ``memory://name`` or
``s3://ACCESS:SECRET@host:port/bucket``; the scheme is the name of a file of ``object_stores/``. An
object appears whole or not at all, may be replaced by another of the same key, and no key is a
folder of another key. All methods may be called from several threads.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import SplitResult, urlsplit

from shared.contracts.store_key import is_store_key, is_store_prefix
from shared.errors import InvalidInput
from shared.plugins import load_plugin, plugin_names

CHUNK = 1 << 20
"""Bytes that are moved at once, and between two calls of a transfer's progress."""

Transferred = Callable[[int], None]
"""Told the number of bytes moved since the last call; what it raises ends the transfer."""


class ObjectInfo(NamedTuple):
    """What is known of an object without reading it."""

    key: str
    size: int
    """Bytes."""
    modified_at: datetime
    """UTC."""


class Removed(NamedTuple):
    """What a deletion took away."""

    n_objects: int
    n_bytes: int


class PresignedPost(NamedTuple):
    """A form that uploads one object: the fields in this order, then ``file``."""

    url: str
    fields: dict[str, str]


def ignore(_n_bytes: int) -> None:
    """Report to nobody."""


class Store(Protocol):
    """An opened store.

    Every method may raise ``Unavailable`` with ``store_unavailable``, and ``InvalidInput`` with
    ``bad_store_key``.
    """

    def prepare(self) -> None:
        """Make the folder or the bucket if it is not there."""

    def check(self) -> None:
        """Prove that the store answers.

        Raises:
            Unavailable: ``store_unavailable`` with what is wrong.
        """

    def put_file(self, key: str, path: Path, moved: Transferred = ignore) -> None:
        """Store a file under ``key``."""

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store a few bytes under ``key``."""

    def get_file(self, key: str, path: Path, *, max_bytes: int, moved: Transferred = ignore) -> int:
        """Write an object to ``path``, whole or not at all, and return its size.

        Raises:
            InvalidInput: ``object_not_found``; ``too_large`` it has more than ``max_bytes``.
        """

    def get_bytes(self, key: str, *, max_bytes: int) -> bytes:
        """Read a small object; raises as ``get_file`` does."""

    def stream(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read ``length`` bytes from byte ``start`` on, or to the end, in chunks.

        Raises:
            InvalidInput: ``object_not_found``, before the first chunk.
        """

    def stat(self, key: str) -> ObjectInfo:
        """Size and age of an object.

        Raises:
            InvalidInput: ``object_not_found``.
        """

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under ``key``."""

    def list_objects(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """Objects below ``prefix`` by ascending key, fetched page by page.

        Args:
            prefix: Ends in a slash; "" lists everything.
            start_after: Only keys greater than this one.
        """

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already."""

    def delete_prefix(self, prefix: str) -> Removed:
        """Remove every object below ``prefix``."""

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the store.

        Raises:
            InvalidInput: ``object_not_found``.
        """

    def presign_get(
        self, key: str, *, now: datetime, expires: timedelta, download_name: str
    ) -> str:
        """URL that hands the object out as a download named ``download_name``.

        The folder and the memory store give a path of the gateway (``store_links``), S3 a whole
        URL. Whether the object exists is not looked at.
        """

    def presign_post(
        self, key: str, *, now: datetime, expires: timedelta, n_bytes: tuple[int, int]
    ) -> PresignedPost:
        """Form with which anyone may upload the object once or more until it expires.

        Args:
            key: Name of the object to come.
            now: The present.
            expires: From now on.
            n_bytes: Smallest and largest size that is taken.
        """


class ObjectStore(Protocol):
    """A file of ``object_stores/``, named for the scheme of its URLs."""

    def open_store(self, url: SplitResult) -> Store:
        """Open the store that ``url`` names; does not yet talk to it.

        Raises:
            InvalidInput: ``bad_store_url``.
        """


def open_store(url: str) -> Store:
    """Open the store that ``url`` names.

    Raises:
        InvalidInput: ``bad_store_url``; the message leaves the URL's secrets out.
        MissingModel: ``missing_library`` the scheme's client is not installed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidInput("bad_store_url", f"the store's URL cannot be read: {error}") from error
    schemes = plugin_names("shared.object_stores")
    if parts.scheme not in schemes:
        raise InvalidInput(
            "bad_store_url",
            f"the store's URL begins with {parts.scheme!r}, expected one of {', '.join(schemes)}",
        )
    plugin: ObjectStore = load_plugin("shared.object_stores", parts.scheme)
    return plugin.open_store(parts)


def check_key(key: str) -> str:
    """Return ``key`` if it may name an object.

    Raises:
        InvalidInput: ``bad_store_key``.
    """
    if not is_store_key(key):
        raise InvalidInput("bad_store_key", f"{key[:80]!r} cannot be the key of an object")
    return key


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if it ends in a slash and may hold objects.

    Raises:
        InvalidInput: ``bad_store_key``.
    """
    if not is_store_prefix(prefix):
        raise InvalidInput("bad_store_key", f"{prefix[:80]!r} cannot be a prefix of keys")
    return prefix
