"""W3C Trace Context: the ``traceparent`` header, read, continued and written.

https://www.w3.org/TR/trace-context/. It travels from a request through the outbox and the queue to
workers and webhooks. No exporter: the ids stand in logs and messages.
"""

import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

HEADER = "traceparent"
SAMPLED = 0x01

RandomBytes = Callable[[int], bytes]
"""Gives so many random bytes; ``secrets.token_bytes`` outside of tests."""

_MAX_LENGTH = 512
_VERSION_00 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LATER = re.compile(r"(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class TraceContext(NamedTuple):
    """One span of a trace."""

    trace_id: str
    """32 lower-case hex digits, not all zero; the same from the request to the webhook."""
    span_id: str
    """16 lower-case hex digits, not all zero; one per hop."""
    flags: int = SAMPLED
    """0 to 255; bit 0 says that the caller records the trace."""

    @property
    def header(self) -> str:
        """Value of a ``traceparent`` header, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse_traceparent(header: str | None) -> TraceContext | None:
    """Read a header; None where there is none or it is malformed, as the standard asks.

    Of a later version than 00 the known part is read.
    """
    if header is None or len(header) > _MAX_LENGTH:
        return None
    text = header.strip(" \t")
    match = _VERSION_00.fullmatch(text) or _LATER.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16))


def trace_id_of(header: str | None) -> str | None:
    """The trace that ``header`` names, for log lines."""
    context = parse_traceparent(header)
    return context.trace_id if context else None


def start_trace(random_bytes: RandomBytes = secrets.token_bytes) -> TraceContext:
    """Begin a trace of our own."""
    return TraceContext(_nonzero_hex(16, random_bytes), _nonzero_hex(8, random_bytes))


def child_of(parent: TraceContext, random_bytes: RandomBytes = secrets.token_bytes) -> TraceContext:
    """Next hop of a trace: its trace id and flags, a span id of its own."""
    return parent._replace(span_id=_nonzero_hex(8, random_bytes))


def continue_trace(
    header: str | None, random_bytes: RandomBytes = secrets.token_bytes
) -> TraceContext:
    """Next hop of the trace that ``header`` names, or a new trace where it names none."""
    parent = parse_traceparent(header)
    return child_of(parent, random_bytes) if parent else start_trace(random_bytes)


def _nonzero_hex(n_bytes: int, random_bytes: RandomBytes) -> str:
    drawn = random_bytes(n_bytes)
    while not any(drawn):  # all zero means "no id"; once in 2**64 draws
        drawn = random_bytes(n_bytes)
    return drawn.hex()
