"""Opaque cursors: where a page of a listing ended.

A cursor is not signed: it names a place in an order, and whatever it names, a tenant sees its own
rows only. It is checked, so that a broken one is refused rather than guessed at.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from api.http.problems import Refused

MAX_LENGTH = 300
_MICROSECOND = 1_000_000
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


class Place(NamedTuple):
    """Last row of a page, in an order by creation, newest first."""

    created_at: datetime
    id: str


def write_cursor(listing: str, filters: Mapping[str, str | None], place: Place) -> str:
    """Cursor for the page after ``place`` of ``listing`` under ``filters``."""
    microseconds = round(place.created_at.timestamp() * _MICROSECOND)
    text = json.dumps([microseconds, place.id, _digest(listing, filters)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_cursor(
    listing: str, filters: Mapping[str, str | None], cursor: str | None, id_kind: str
) -> Place | None:
    """Place that ``cursor`` names; None for the first page.

    Raises:
        Refused: ``bad_cursor`` when it was not made by ``write_cursor`` for this listing and these
            filters.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded.encode("ascii"), b"-_", validate=True))
        microseconds, row_id, digest = found
        is_ours = (
            len(cursor) <= MAX_LENGTH
            and type(microseconds) is int
            and 0 <= microseconds <= _LAST.timestamp() * _MICROSECOND
            and isinstance(row_id, str)
            and row_id.startswith(f"{id_kind}_")
            and row_id.isascii()
            and row_id.replace("_", "").isalnum()
        )
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise _refusal() from error
    if not is_ours or digest != _digest(listing, filters):
        raise _refusal()
    seconds, rest = divmod(microseconds, _MICROSECOND)
    return Place(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), row_id)


def _digest(listing: str, filters: Mapping[str, str | None]) -> str:
    text = json.dumps([listing, sorted(filters.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _refusal() -> Refused:
    return Refused(
        "bad_cursor",
        "the cursor is not one of this listing with these filters; "
        "take next_cursor of the page before, or leave it out for the first page",
    )
