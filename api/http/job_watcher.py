"""Wakes event streams and waiting requests when their jobs have changed.

One query per tick for all of them, however many there are, so a stream holds neither a thread nor a
connection. With several gateways the change may have been written by another one: that is why the
database is asked, and nothing is told within the process.
"""

import logging
from collections.abc import Callable, Mapping

import anyio

from shared.errors import Unavailable
from shared.observability.logs import log_event

TICK_SECONDS = 0.5
ReadVersions = Callable[[frozenset[str]], Mapping[str, int]]
"""Versions of the jobs of these ids; a job that is gone is left out."""


class JobWatcher:
    """Belongs to one event loop; ``run`` must be running in it."""

    def __init__(
        self,
        read_versions: ReadVersions,
        logger: logging.Logger,
        *,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._read_versions = read_versions
        self._logger = logger
        self._tick_seconds = tick_seconds
        self._waiting: dict[anyio.Event, tuple[str, int]] = {}
        self.is_closing = False
        """Whether the process ends: whoever waits is to answer and go."""

    def close(self) -> None:
        """Wake everybody within a tick; may be called by a signal's handler."""
        self.is_closing = True

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await anyio.sleep(self._tick_seconds)
            if self.is_closing:
                for event in self._waiting:
                    event.set()
                continue
            if not self._waiting:
                continue
            ids = frozenset(job_id for job_id, _ in self._waiting.values())
            try:
                versions = await anyio.to_thread.run_sync(self._read_versions, ids)
            except Unavailable as error:
                log_event(self._logger, "job_watch_failed", level=logging.WARNING, code=error.code)
                continue
            for event, (job_id, version) in self._waiting.items():
                if job_id in ids and versions.get(job_id) != version:
                    event.set()

    async def changed(self, job_id: str, version: int, seconds: float) -> bool:
        """Wait until the job has another version than ``version``; False when time is up."""
        event = anyio.Event()
        self._waiting[event] = (job_id, version)
        try:
            with anyio.move_on_after(seconds) as scope:
                await event.wait()
        finally:
            del self._waiting[event]
        return not scope.cancelled_caught
