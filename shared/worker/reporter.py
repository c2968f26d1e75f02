"""Sends a run's events and keeps its lease clock: what the gateway has heard, and when."""

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

from shared.contracts.command import RunStage
from shared.contracts.event import (
    MAX_MESSAGE,
    AttemptEvent,
    StageEvent,
    StageProgress,
    StageStarted,
    WorkerSeen,
)
from shared.errors import Unavailable
from shared.observability.logs import log_event
from shared.worker.stopping import Stop

BEAT_SHARE = 1 / 4
"""Heartbeats are this share of a lease apart; three of them may be lost."""
PROGRESS_SECONDS = 2.0
"""At most so often is progress told between heartbeats."""
_TICK_SECONDS = 0.1
_RETRY_SECONDS = 0.5
E = TypeVar("E", bound=AttemptEvent)
_log = logging.getLogger(__name__)


class SendEvent(Protocol):
    """``Publisher.send_event``."""

    def __call__(self, event: StageEvent | WorkerSeen) -> None:
        """Return when the broker has it, or raise ``Unavailable``."""


class Reporter:
    """Speaks for one run of one attempt; used by several threads."""

    def __init__(
        self, command: RunStage, worker_id: str, send: SendEvent, clock: Callable[[], datetime]
    ) -> None:
        self._command = command
        self._worker_id = worker_id
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._sequence = 0
        self._fraction = 0.0
        self._message = "starting"
        self._is_told = True
        self.started_at = monotonic()
        self.confirmed_at = self.started_at
        """When the broker last took an event; monotonic, seconds."""

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return monotonic() - self.started_at

    def make(self, kind: type[E], **fields: Any) -> E:  # noqa: ANN401 - fields of any event
        """An event of this run, with the next sequence number."""
        with self._lock:
            sequence, self._sequence = self._sequence, self._sequence + 1
        return kind(
            event_id=secrets.token_hex(16),
            job_id=self._command.job_id,
            stage=self._command.stage,
            attempt=self._command.attempt,
            worker_id=self._worker_id,
            occurred_at=self._clock(),
            sequence=sequence,
            traceparent=self._command.traceparent,
            **fields,
        )

    def note_progress(self, fraction: float, message: str) -> None:
        """Remember how far the stage is; told with the next heartbeat or soon."""
        with self._lock:
            self._fraction = max(self._fraction, min(fraction, 1.0))
            self._message = message[:MAX_MESSAGE]
            self._is_told = False

    def send_started(self) -> None:
        """Tell that the attempt was taken up; the lease runs from here.

        Raises:
            Unavailable: the broker does not take it; the run should not begin.
        """
        self._deliver(self.make(StageStarted))

    def send_final(self, event: StageEvent, stop: Stop) -> None:
        """Deliver the event that ends the run, trying as long as the lease lasts.

        Raises:
            StageStopped: the lease ran out first, or the worker leaves.
        """
        while True:
            try:
                self._deliver(event)
            except Unavailable as error:
                log_event(_log, "event_delayed", reason=error.message)
                if self.is_lease_lost():
                    stop.request("lease")
                if stop.reason in {"lease", "shutdown"}:
                    stop.check()
                sleep(_RETRY_SECONDS)
            else:
                return

    def is_lease_lost(self) -> bool:
        """Tell whether nothing was delivered for longer than the lease."""
        return monotonic() - self.confirmed_at > self._command.lease_seconds

    def beat(self, ended: threading.Event) -> None:
        """Tell progress and life until ``ended``; a beat that fails is followed by the next."""
        interval = self._command.lease_seconds * BEAT_SHARE
        sent_at = monotonic()
        while not ended.wait(min(_TICK_SECONDS, interval)):
            quiet = monotonic() - sent_at
            with self._lock:
                is_due = quiet >= interval or (quiet >= PROGRESS_SECONDS and not self._is_told)
                fraction, message = self._fraction, self._message
                self._is_told = self._is_told or is_due
            if not is_due:
                continue
            try:
                self._deliver(self.make(StageProgress, fraction=fraction, message=message))
            except Unavailable as error:
                log_event(_log, "heartbeat_lost", reason=error.message)
            sent_at = monotonic()

    def watch(self, ended: threading.Event, stop: Stop) -> None:
        """Stop the run when its lease or its time has run out."""
        while not ended.wait(_TICK_SECONDS):
            if self.is_lease_lost():
                stop.request("lease")
            elif self.seconds > self._command.deadline_seconds:
                stop.request("deadline")

    def _deliver(self, event: StageEvent) -> None:
        asked_at = monotonic()
        self._send(event)
        self.confirmed_at = asked_at
