"""Trace ids: read from a header, carried on, never trusted when malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.observability.trace import (
    TraceContext,
    child_of,
    continue_trace,
    parse_traceparent,
    start_trace,
    trace_id_of,
)

_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_header_of_the_standard_is_read() -> None:
    """The example of the standard."""
    context = parse_traceparent(f"00-{_TRACE}-{_SPAN}-01")

    assert TraceContext(_TRACE, _SPAN, 1) == context


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """More fields may follow from version 01 on."""
    assert TraceContext(_TRACE, _SPAN, 3) == parse_traceparent(f"01-{_TRACE}-{_SPAN}-03-more")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{_TRACE}-{_SPAN}",
        f"00-{_TRACE}-{_SPAN}-01-more",
        f"ff-{_TRACE}-{_SPAN}-01",
        f"00-{_TRACE.upper()}-{_SPAN}-01",
        f"00-{'0' * 32}-{_SPAN}-01",
        f"00-{_TRACE}-{'0' * 16}-01",
        f"00-{_TRACE}-{_SPAN}-01\n",
        f"01-{_TRACE}-{_SPAN}-01-{'x' * 1000}",
    ],
)
def test_a_malformed_header_counts_as_none(header: str | None) -> None:
    """Nothing of it is carried on."""
    assert parse_traceparent(header) is None


@given(st.text(max_size=80))
def test_reading_never_fails(header: str) -> None:
    """Any text is a context that is written as it stood, or none."""
    context = parse_traceparent(header)

    assert context is None or context.header[3:] in header


def test_a_hop_keeps_the_trace_and_has_a_span_of_its_own() -> None:
    """The child differs in its span alone."""
    parent = TraceContext(_TRACE, _SPAN, 0)

    child = child_of(parent, lambda n: b"\x01" * n)

    assert TraceContext(_TRACE, "01" * 8, 0) == child


def test_a_request_without_a_trace_begins_one() -> None:
    """Its header can be read again."""
    context = continue_trace("nonsense")

    assert context == parse_traceparent(context.header)


def test_log_lines_name_the_trace() -> None:
    """Or nothing, where there is none."""
    assert [_TRACE, None] == [trace_id_of(f"00-{_TRACE}-{_SPAN}-01"), trace_id_of(None)]


def test_ids_are_never_all_zero() -> None:
    """Zero means none; such a draw is drawn again."""
    draws = iter([b"\x00" * 16, b"\x02" * 16, b"\x00" * 8, b"\x03" * 8])

    assert TraceContext("02" * 16, "03" * 8) == start_trace(lambda _n: next(draws))
