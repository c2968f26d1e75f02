"""Knows up to which moment workers' events have been read.

A lease may have been prolonged by a heartbeat that still waits in the queue: after the gateway was
away, or while the broker is. Only what ran out before the queue was seen empty is really lost.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.errors import Unavailable

SETTLE = timedelta(seconds=3)
"""Another gateway may hold a batch that it took a moment before the queue was empty."""
PROBE_AFTER = timedelta(seconds=5)
CountWaiting = Callable[[], int]
"""Events in the queue that nobody has taken; raises ``Unavailable``."""


class Backlog:
    """Shared by the event consumer, which notes, and the reaper, which asks."""

    def __init__(self, count_waiting: CountWaiting) -> None:
        self._count_waiting = count_waiting
        self._empty_at: datetime | None = None
        self._lock = threading.Lock()

    def note_empty(self, moment: datetime) -> None:
        """The queue had nothing more at ``moment``, and everything before it is handled."""
        with self._lock:
            if self._empty_at is None or self._empty_at < moment:
                self._empty_at = moment

    def read_until(self, now: datetime) -> datetime | None:
        """Everything sent before this moment has been handled; None where nothing is known.

        Asks the broker where the consumer has had nothing to say for some seconds.
        """
        if self._empty_at is None or now - self._empty_at > PROBE_AFTER:
            try:
                if self._count_waiting() == 0:
                    self.note_empty(now)
            except Unavailable:
                return None
        return None if self._empty_at is None else self._empty_at - SETTLE
