"""Header fields the gateway reads and writes: rates, preferences, entity tags, event ids."""

import pytest

from api.http.etags import check_if_match, etag_of, is_known
from api.http.preferences import wait_seconds
from api.http.problems import Refused
from api.http.rate_limits import Policy, RateLimiter, rate_headers
from api.http.sse import read_last_event_id, write_event

POLICY = Policy("requests", 2, 60)


def test_a_rate_counts_down_and_begins_again() -> None:
    """Two in a minute, then a refusal that says when to come back, then two more."""
    limiter = RateLimiter()
    first = limiter.take("ten_a", POLICY, 100.0)
    limiter.take("ten_a", POLICY, 110.0)
    with pytest.raises(Refused) as refusal:
        limiter.take("ten_a", POLICY, 130.5)
    again = limiter.take("ten_a", POLICY, 160.0)

    assert {
        "RateLimit-Policy": '"requests";q=2;w=60',
        "RateLimit": '"requests";r=1;t=60',
    } == rate_headers([first])
    assert ("rate_limited", "30") == (refusal.value.code, refusal.value.headers["Retry-After"])
    assert '"requests";r=0;t=30' == refusal.value.headers["RateLimit"]
    assert 1 == again.remaining


def test_callers_do_not_use_up_each_others_rate() -> None:
    """One window per caller."""
    limiter = RateLimiter()
    limiter.take("ten_a", POLICY, 0.0)
    limiter.take("ten_a", POLICY, 0.0)

    assert 1 == limiter.take("ten_b", POLICY, 0.0).remaining


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (None, 0),
        ("", 0),
        ("wait=5", 5),
        ("respond-async, WAIT = 10", 10),
        ("wait=100000", 60),
        ("wait=3; foo=bar", 3),
        ("waiting=4", 0),
        ("return=minimal", 0),
    ],
)
def test_prefer_wait_is_read(prefer: str | None, expected: int) -> None:
    """Up to a minute; other preferences are ignored."""
    assert expected == wait_seconds(prefer)


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=1.5", "wait=soon"])
def test_a_malformed_wait_is_refused(prefer: str) -> None:
    """Better than waiting for another time than was meant."""
    with pytest.raises(Refused) as refusal:
        wait_seconds(prefer)

    assert "bad_header" == refusal.value.code


def test_an_unchanged_representation_is_known() -> None:
    """Weak comparison, lists and the star."""
    etag = etag_of(b"body")

    assert is_known(etag, etag)
    assert is_known(f'"other", W/{etag}', etag)
    assert is_known("*", etag)
    assert not is_known(etag_of(b"other"), etag)
    assert not is_known(None, etag)


@pytest.mark.parametrize(
    ("if_match", "code"), [(None, "precondition_required"), ('"2"', "precondition_failed")]
)
def test_a_change_needs_the_present_state(if_match: str | None, code: str) -> None:
    """No header and an old tag are refused."""
    with pytest.raises(Refused) as refusal:
        check_if_match(if_match, '"3"')

    assert code == refusal.value.code


def test_a_change_of_the_present_state_is_let_through() -> None:
    """Its tag, or the star."""
    check_if_match('"2", "3"', '"3"')
    check_if_match("*", '"3"')


def test_an_event_is_written_line_by_line() -> None:
    """A break inside the data does not end the event."""
    assert b"id: 7\nevent: job.progress\ndata: a\ndata: b\n\n" == write_event(
        7, "job.progress", "a\nb"
    )


def test_a_stream_goes_on_after_the_last_event() -> None:
    """The header is a number of ours, or the stream begins anew."""
    assert 12 == read_last_event_id("12")
    assert 0 == read_last_event_id(None)
    with pytest.raises(Refused):
        read_last_event_id("12a")
