"""A job's log as a stream that ends with the job."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import anyio

from api.db.job_events import events_after
from api.db.listings import find_job
from api.db.records import JobEvent
from api.dependencies import Call
from api.http import sse
from api.jobs.job import parse_job
from api.views.jobs import event_body
from shared.errors import Unavailable

_MAX_EVENTS = 100
_PAUSE_SECONDS = 2.0
"""Until the database is asked again when it did not answer."""


class Chapter(NamedTuple):
    """What a stream reads at once."""

    version: int
    """Of the job, read before its log, so that nothing in between is missed."""
    is_ended: bool
    """Whether the job has ended."""
    events: list[JobEvent]

    @property
    def is_last(self) -> bool:
        """Whether nothing will follow."""
        return self.is_ended and not self.has_more

    @property
    def has_more(self) -> bool:
        """Whether more is written already."""
        return len(self.events) == _MAX_EVENTS


def read_chapter(call: Call, job_id: str, after: int) -> Chapter | None:
    """What came after an event; None when the job is unknown or gone. Runs in a thread."""
    with call.work(is_read_only=True) as work:
        stored = find_job(work, job_id)
        if stored is None:
            return None
        events = events_after(work, job_id, after, limit=_MAX_EVENTS)
    return Chapter(stored.version, parse_job(stored.state).is_terminal, events)


async def tell_job(call: Call, job_id: str, first: Chapter, after: int) -> AsyncIterator[bytes]:
    """Text of the stream. Between changes it holds neither a thread nor a connection."""
    streams, limit = call.parts.streams, call.parts.settings.streams_per_tenant
    with streams.hold(call.principal.tenant_id, limit):
        yield sse.OPENING
        chapter: Chapter | None = first
        while chapter is not None:
            for event in chapter.events:
                after = event.sequence
                yield sse.write_event(after, event.type, event_body(event).model_dump_json())
            watcher = call.parts.watcher
            if chapter.is_last or watcher.is_closing:
                return
            if not chapter.has_more and not await watcher.changed(
                job_id, chapter.version, sse.COMMENT_SECONDS
            ):
                yield sse.COMMENT
            chapter = await _next(call, job_id, chapter, after)


async def _next(call: Call, job_id: str, chapter: Chapter, after: int) -> Chapter | None:
    """The next chapter; while the database is away, an empty one."""
    try:
        return await call.in_thread(read_chapter, call, job_id, after)
    except Unavailable:
        await anyio.sleep(_PAUSE_SECONDS)
        return Chapter(chapter.version, is_ended=False, events=[])
