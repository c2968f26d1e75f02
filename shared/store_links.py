"""Links that a gateway route can trust: what they allow is signed, and they expire.

The folder and the memory store have no server of their own, so the gateway hands objects out and
takes uploads in on their behalf: ``GET /store/{key}?expires=&name=&signature=`` and a form ``POST
/store`` whose fields are those of ``presign_post``. S3 does the same by itself, and the gateway's
route is then not mounted.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.contracts.store_key import StoreKey
from shared.errors import InvalidInput
from shared.object_store import PresignedPost, Store

ROUTE = "/store"
"""Where the gateway mounts the routes."""
MAX_NAME = 255


class Link(BaseModel):
    """What a download link says."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    key: StoreKey
    """The object."""
    expires: int = Field(ge=0, le=10**11)
    """Unix time, seconds."""
    name: str = Field(max_length=MAX_NAME)
    """File name offered to the browser."""
    signature: str = Field(max_length=128)
    """HMAC-SHA256 over the rest, hexadecimal."""


class Form(BaseModel):
    """What an upload form says beside the file."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    key: StoreKey
    """The object to come."""
    expires: int = Field(ge=0, le=10**11)
    """Unix time, seconds."""
    min_bytes: int = Field(ge=0)
    """Smallest size that is taken."""
    max_bytes: int = Field(ge=0)
    """Largest size that is taken."""
    signature: str = Field(max_length=128)
    """HMAC-SHA256 over the rest, hexadecimal."""


class UploadGrant(NamedTuple):
    """What a valid form allows."""

    key: str
    min_bytes: int
    max_bytes: int


class DownloadGrant(NamedTuple):
    """What a valid link allows."""

    key: str
    download_name: str


def link_secret(store: Store) -> bytes | None:
    """Secret of a store that needs the gateway's routes; None where S3 serves by itself."""
    secret: bytes | None = getattr(store, "link_secret", None)
    return secret


def sign_link(
    secret: bytes, key: str, *, now: datetime, expires: timedelta, download_name: str
) -> str:
    """Path and query of a download link."""
    until = _until(now, expires)
    name = clean_name(download_name)
    signature = _sign(secret, "GET", key, str(until), name)
    query = urlencode({"expires": until, "name": name, "signature": signature})
    return f"{ROUTE}/{quote(key)}?{query}"


def read_link(secret: bytes, key: str, query: Mapping[str, str], now: datetime) -> DownloadGrant:
    """Check a download link as it came in.

    Raises:
        InvalidInput: ``bad_link`` malformed or not ours; ``link_expired``.
    """
    try:
        link = Link.model_validate({**query, "key": key})
    except ValidationError as error:
        raise _bad_link() from error
    _check_signature(link.signature, _sign(secret, "GET", link.key, str(link.expires), link.name))
    _check_time(link.expires, now)
    return DownloadGrant(link.key, link.name)


def sign_form(
    secret: bytes, key: str, *, now: datetime, expires: timedelta, n_bytes: tuple[int, int]
) -> PresignedPost:
    """Form of an upload through the gateway."""
    values = {
        "key": key,
        "expires": str(_until(now, expires)),
        "min_bytes": str(n_bytes[0]),
        "max_bytes": str(n_bytes[1]),
    }
    return PresignedPost(ROUTE, {**values, "signature": _sign(secret, "POST", *values.values())})


def read_form(secret: bytes, fields: Mapping[str, str], now: datetime) -> UploadGrant:
    """Check an upload's fields as they came in.

    Raises:
        InvalidInput: ``bad_link`` malformed or not ours; ``link_expired``.
    """
    try:
        form = Form.model_validate(dict(fields))
    except ValidationError as error:
        raise _bad_link() from error
    said = (form.key, str(form.expires), str(form.min_bytes), str(form.max_bytes))
    _check_signature(form.signature, _sign(secret, "POST", *said))
    _check_time(form.expires, now)
    return UploadGrant(form.key, form.min_bytes, form.max_bytes)


def clean_name(name: str) -> str:
    """A file name that can stand in a header: letters, digits and ``._-``, the rest as ``_``."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept.lstrip(".")[:MAX_NAME] or "download"


def _until(now: datetime, expires: timedelta) -> int:
    return int((now.astimezone(UTC) + expires).timestamp())


def _sign(secret: bytes, *said: str) -> str:
    return hmac.new(secret, "\n".join(said).encode(), hashlib.sha256).hexdigest()


def _check_signature(given: str, expected: str) -> None:
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise _bad_link()


def _check_time(expires: int, now: datetime) -> None:
    if now.timestamp() >= expires:
        raise InvalidInput("link_expired", "this link has expired; ask for a new one")


def _bad_link() -> InvalidInput:
    return InvalidInput(
        "bad_link", "this link is not one of ours or was changed; ask for a new one"
    )
