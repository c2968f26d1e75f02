"""Bodies as answers: JSON, entity tags, pages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.db.records import Cut
from api.http.cursors import MAX_LENGTH, Place, read_cursor, write_cursor
from api.http.etags import etag_of, is_known
from api.schemas.model import Page

T = TypeVar("T")
NO_STORE = {"Cache-Control": "no-store"}
Limit = Annotated[int, Query(ge=1, le=100, description="How many to answer at most.")]
Cursor = Annotated[
    str | None, Query(max_length=MAX_LENGTH, description="`next_cursor` of the page before.")
]


def json_answer(
    body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``body`` as JSON, which nobody in between keeps."""
    return Response(
        body.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={**NO_STORE, **(headers or {})},
    )


def tagged_answer(
    request: Request,
    body: BaseModel,
    etag: str | None = None,
    headers: Any = None,  # noqa: ANN401
) -> Response:
    """``body`` with its strong ETag; 304 where the caller has it already."""
    text = body.model_dump_json().encode()
    tag = etag or etag_of(text)
    told = {"Cache-Control": "private, no-cache", "ETag": tag, **(headers or {})}
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=told)
    return Response(text, media_type="application/json", headers=told)


class Listing(NamedTuple):
    """A listing that cursors belong to."""

    name: str
    id_kind: str
    filters: Mapping[str, str | None] = {}

    def after(self, cursor: str | None) -> Cut | None:
        """Where the page begins.

        Raises:
            Refused: ``bad_cursor``.
        """
        place = read_cursor(self.name, self.filters, cursor, self.id_kind)
        return None if place is None else Cut(place.created_at, place.id)


def page_of(
    listing: Listing,
    rows: Sequence[T],
    limit: int,
    place_of: Callable[[T], tuple[datetime, str]],
    body_of: Callable[[T], Any],
) -> Page[Any]:
    """A page from ``limit + 1`` rows, of which the last only says that there are more."""
    shown = rows[:limit]
    has_more = len(rows) > limit
    last = Place(*place_of(shown[-1])) if has_more else None
    return Page[Any](
        items=[body_of(row) for row in shown],
        has_more=has_more,
        next_cursor=write_cursor(listing.name, listing.filters, last) if last else None,
    )
