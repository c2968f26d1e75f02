"""Takes what workers report into the database, one transaction for each event.

Events come at least once and in any order; the state machine sees to it that this does no harm, so
a batch that failed half-way is simply handled again.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.engine import Engine

from api.db.session import engine_work
from api.db.workers import note_worker
from api.jobs.apply import apply_event, origin_at
from api.jobs.backlog import Backlog
from api.jobs.measure import Observe, observe_nothing
from api.jobs.state_machine import unwanted_attempt
from shared.contracts.command import CancelStage
from shared.contracts.event import StageEvent, StageProgress, WorkerSeen
from shared.errors import Unavailable
from shared.observability.trace import trace_id_of

FULL_BATCH = 100
"""A batch of fewer events left nothing behind in the queue."""
_log = logging.getLogger(__name__)


class Canceler(Protocol):
    """Reaches all workers."""

    def cancel_stage(self, command: CancelStage) -> None:
        """Tell every running worker; raises ``Unavailable``."""


class EventConsumer:
    """Handles batches of events; ``shared.messaging.receive_events`` calls it."""

    def __init__(
        self,
        database: Engine,
        canceler: Canceler,
        backlog: Backlog,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
        *,
        observe: Observe = observe_nothing,
    ) -> None:
        self._database = database
        self._canceler = canceler
        self._backlog = backlog
        self._clock = clock
        self._wake = wake
        self._observe = observe

    def __call__(self, events: Sequence[StageEvent | WorkerSeen]) -> None:
        """Handle a batch in its order; raises ``Unavailable`` when it is to come again."""
        taken_at = self._clock()
        for event in drop_outdated(events):
            if isinstance(event, WorkerSeen):
                with engine_work(self._database) as work:
                    note_worker(work, event, self._clock())
            else:
                self._handle(event)
        if len(events) < FULL_BATCH:
            self._backlog.note_empty(taken_at)
        self._wake()

    def _handle(self, event: StageEvent) -> None:
        now = self._clock()
        with engine_work(self._database) as work:
            job, is_changed = apply_event(work, event.job_id, event, origin_at(now))
        if job and is_changed:
            self._observe(job, event, now)
        unwanted = unwanted_attempt(job, event)
        _log.log(
            logging.DEBUG if isinstance(event, StageProgress) else logging.INFO,
            "event_applied" if is_changed else "event_ignored",
            extra={
                "event": event.type,
                "job_id": event.job_id,
                "stage": event.stage,
                "attempt": event.attempt,
                "worker_id": event.worker_id,
                "trace_id": trace_id_of(event.traceparent),
                "is_unwanted": unwanted is not None,
            },
        )
        if unwanted is None:
            return
        try:
            self._canceler.cancel_stage(unwanted)
        except Unavailable as error:  # said again at the worker's next heartbeat
            _log.warning("cancel_not_sent", extra={"reason": error.message})


def drop_outdated(
    events: Sequence[StageEvent | WorkerSeen],
) -> list[StageEvent | WorkerSeen]:
    """The batch without progress that newer progress of the same run overtakes."""
    newest: dict[tuple[str, str, int, str], int] = {}
    for event in events:
        if isinstance(event, StageProgress):
            run = _run_of(event)
            newest[run] = max(newest.get(run, 0), event.sequence)
    return [
        event
        for event in events
        if not isinstance(event, StageProgress) or event.sequence == newest[_run_of(event)]
    ]


def _run_of(event: StageProgress) -> tuple[str, str, int, str]:
    return event.job_id, event.stage, event.attempt, event.worker_id
