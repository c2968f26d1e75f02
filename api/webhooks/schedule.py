"""When a delivery is tried again: the schedule of Standard Webhooks, with jitter."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Wait before each attempt, counted from the end of the one before; three days in all."""
MAX_ATTEMPTS = len(SCHEDULE)
JITTER = 0.2
"""A wait is longer by up to this share, so that a receiver that comes back is not run over."""
MAX_RETRY_AFTER = timedelta(hours=24)

GONE = 410
THROTTLED = frozenset({429, 502, 503, 504})
"""Answers whose Retry-After is followed."""


class Verdict(StrEnum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"
    """No more attempts; the endpoint is disabled if it failed all of them."""
    GONE = "gone"
    """The receiver said 410: the endpoint is disabled at once."""


class Decision(NamedTuple):
    """Verdict and, to be tried again, when."""

    verdict: Verdict
    next_attempt_at: datetime | None = None


def decide(
    status: int | None,
    retry_after: str | None,
    *,
    n_attempts: int,
    now: datetime,
    jitter: float,
) -> Decision:
    """What follows from the answer to attempt number ``n_attempts``.

    Args:
        status: HTTP status; None where there was no answer. Only 2xx is a success.
        retry_after: That header of the answer, as it came.
        n_attempts: Attempts so far with this one, from 1.
        now: End of the attempt, UTC.
        jitter: Drawn from [0, 1).
    """
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - HTTP's own ranges
        return Decision(Verdict.DELIVERED)
    if status == GONE:
        return Decision(Verdict.GONE)
    if n_attempts >= MAX_ATTEMPTS:
        return Decision(Verdict.FAILED)
    wait = SCHEDULE[n_attempts]
    if status in THROTTLED:
        wait = max(wait, parse_retry_after(retry_after, now))
    return Decision(Verdict.RETRY, now + wait * (1 + JITTER * jitter))


def parse_retry_after(value: str | None, now: datetime) -> timedelta:
    """How long a receiver asks to be left alone: seconds or a date, at most a day.

    Zero where the header is absent, past or makes no sense.
    """
    if value is None:
        return timedelta(0)
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return timedelta(0)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), MAX_RETRY_AFTER)
