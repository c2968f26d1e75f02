"""Cursors of listings."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.cursors import Place, read_cursor, write_cursor
from api.http.problems import Refused

PLACE = Place(datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=UTC), "job_01")
FILTERS: dict[str, str | None] = {"status": "failed"}


def test_a_cursor_names_its_place_to_the_microsecond() -> None:
    """What was written is read."""
    cursor = write_cursor("jobs", FILTERS, PLACE)

    assert PLACE == read_cursor("jobs", FILTERS, cursor, "job")


def test_the_first_page_has_no_cursor() -> None:
    """Nothing given is the beginning."""
    assert read_cursor("jobs", FILTERS, None, "job") is None


@pytest.mark.parametrize(
    ("listing", "filters", "kind"),
    [("videos", FILTERS, "job"), ("jobs", {"status": None}, "job"), ("jobs", FILTERS, "vid")],
)
def test_a_cursor_of_another_listing_is_refused(
    listing: str, filters: dict[str, str | None], kind: str
) -> None:
    """Filters and listing belong to the cursor."""
    cursor = write_cursor("jobs", FILTERS, PLACE)

    with pytest.raises(Refused) as refusal:
        read_cursor(listing, filters, cursor, kind)

    assert "bad_cursor" == refusal.value.code


@given(st.text(max_size=400))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    """Nothing a caller makes up leads to another error."""
    code = "bad_cursor"
    try:
        read_cursor("jobs", {}, text, "job")
    except Refused as refusal:
        code = refusal.code

    assert "bad_cursor" == code
