"""What follows from each answer of a receiver, by a clock that the test turns."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.schedule import (
    JITTER,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    SCHEDULE,
    Decision,
    Verdict,
    decide,
    parse_retry_after,
)

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_receiver_that_never_answers_is_tried_for_three_days() -> None:
    """Ten attempts at the standard's times, then no more."""
    now, moments = _NOW, [timedelta(0)]
    for n_attempts in range(1, MAX_ATTEMPTS):
        decision = decide(None, None, n_attempts=n_attempts, now=now, jitter=0)
        assert decision.next_attempt_at
        now = decision.next_attempt_at
        moments.append(now - _NOW)

    assert [
        timedelta(seconds=s) for s in (0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105)
    ] == moments
    assert Decision(Verdict.FAILED) == decide(500, None, n_attempts=MAX_ATTEMPTS, now=now, jitter=0)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_only_2xx_is_a_success(status: int) -> None:
    """Whatever the body says."""
    assert Decision(Verdict.DELIVERED) == decide(status, None, n_attempts=1, now=_NOW, jitter=0)


@pytest.mark.parametrize("status", [None, 100, 301, 302, 307, 400, 401, 404, 429, 500, 503, 599])
def test_everything_else_is_tried_again(status: int | None) -> None:
    """A redirect too: it is not followed."""
    assert Decision(Verdict.RETRY, _NOW + timedelta(seconds=5)) == decide(
        status, None, n_attempts=1, now=_NOW, jitter=0
    )


def test_gone_ends_it_at_once() -> None:
    """410 says that nobody wants it any more, at any attempt."""
    assert {Decision(Verdict.GONE)} == {
        decide(410, None, n_attempts=n, now=_NOW, jitter=0) for n in (1, MAX_ATTEMPTS)
    }


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_honoured(status: int) -> None:
    """Longer than the schedule, as asked."""
    decision = decide(status, "120", n_attempts=1, now=_NOW, jitter=0)

    assert _NOW + timedelta(seconds=120) == decision.next_attempt_at


def test_retry_after_never_shortens_a_wait_and_counts_for_throttling_only() -> None:
    """A 500 with the header, and a short one, change nothing."""
    waits = [
        decide(500, "120", n_attempts=1, now=_NOW, jitter=0),
        decide(503, "1", n_attempts=1, now=_NOW, jitter=0),
    ]

    assert [Decision(Verdict.RETRY, _NOW + SCHEDULE[1])] * 2 == waits


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
        ("1.5", 0),
        ("٣", 0),
        (" 30 ", 30),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 12:01:00 -0000", 60),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Sat, 99 Nov 2026 12:01:00 GMT", 0),
        ("9" * 1000, MAX_RETRY_AFTER.total_seconds()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER.total_seconds()),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, expected: float) -> None:
    """Nonsense counts as absent, and a day is the most that is waited."""
    assert timedelta(seconds=expected) == parse_retry_after(value, _NOW)


@given(value=st.text(max_size=60), jitter=st.floats(0, 1, exclude_max=True))
def test_the_next_attempt_is_never_early_and_at_most_the_jitter_late(
    value: str, jitter: float
) -> None:
    """Whatever a receiver sends."""
    decision = decide(429, value, n_attempts=2, now=_NOW, jitter=jitter)

    assert decision.next_attempt_at
    wait = decision.next_attempt_at - _NOW
    assert SCHEDULE[2] <= wait <= MAX_RETRY_AFTER * (1 + JITTER)
