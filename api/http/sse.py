"""Server-Sent Events: the text format, and where a client goes on after a break.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re

from api.http.problems import Refused

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
"""What a client waits before it connects again."""
COMMENT_SECONDS = 15.0
"""Longest silence; proxies close quiet connections."""
COMMENT = b": still here\n\n"
OPENING = f"retry: {RETRY_MS}\n\n".encode()
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect the stream otherwise
}
_EVENT_ID = re.compile(r"[0-9]{1,9}")


def write_event(event_id: int, event_type: str, data: str) -> bytes:
    """One event; ``data`` is JSON text, which has no line breaks but may have them anyway."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"id: {event_id}\nevent: {event_type}\n{lines}\n".encode()


def read_last_event_id(header: str | None) -> int:
    """Sequence number after which the stream goes on; 0 for its beginning.

    Raises:
        Refused: ``bad_header`` when it is none of ours.
    """
    if not header:
        return 0
    if not _EVENT_ID.fullmatch(header):
        raise Refused("bad_header", "Last-Event-ID is the id of an event of this stream, a number")
    return int(header)
