"""The engine's threads: several gateways may each run them on one database."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol

from sqlalchemy.engine import Engine as Database

from api.jobs.backlog import Backlog, CountWaiting
from api.jobs.collector import (
    Ages,
    RemovingStore,
    expire_uploads,
    forget_old_rows,
    remove_objects,
)
from api.jobs.dispatcher import dispatch_ready
from api.jobs.event_consumer import EventConsumer
from api.jobs.measure import measure_event, observe_nothing
from api.jobs.outbox import Publisher, send_letters
from api.jobs.reaper import reap
from shared.contracts.event import StageEvent, WorkerSeen
from shared.errors import Unavailable
from shared.observability.gateway_telemetry import GatewayTelemetry

HandleEvents = Callable[[Sequence[StageEvent | WorkerSeen]], None]
_SEND_SECONDS = 0.5
_GATHER_SECONDS = 0.05
"""A round that is woken again and again begins no more often: one serves a burst of requests."""
_REAP_SECONDS = 2.0
_COLLECT_SECONDS = 1.0
_EXPIRE_SECONDS = 60.0
_FORGET_SECONDS = 600.0
_log = logging.getLogger(__name__)


class ReceiveEvents(Protocol):
    """Hands events to ``handle`` until ``stop`` is set; reconnects by itself."""

    def __call__(self, handle: HandleEvents, stop: threading.Event) -> None:
        """Receive."""


class EngineParts(NamedTuple):
    """What the engine works with; all of it may be used by several threads."""

    database: Database
    publisher: Publisher
    store: RemovingStore
    clock: Callable[[], datetime]
    """UTC."""
    receive: ReceiveEvents
    count_waiting: CountWaiting
    headroom: int = 0
    """Commands sent beyond the slots of living workers, for those that are about to start."""
    ages: Ages = Ages()
    telemetry: GatewayTelemetry | None = None
    """Of the process; None where nobody measures."""


class Round(NamedTuple):
    """Something done again and again."""

    name: str
    seconds: float
    """Pause after a round that found nothing to do."""
    run: Callable[[], int]
    """Returns how much it did; raises ``Unavailable`` when it could not."""
    can_be_woken: bool = False


class Engine:
    """Running threads; ``stop`` ends them."""

    def __init__(self, rounds: Sequence[Round], telemetry: GatewayTelemetry | None = None) -> None:
        self._telemetry = telemetry
        self._stop = threading.Event()
        self._failed = threading.Event()
        self._wakes: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        for each in rounds:
            wake = threading.Event()
            if each.can_be_woken:
                self._wakes.append(wake)
            self._add(each.name, partial(self._repeat, each, wake))

    def wake(self) -> None:
        """Look at once: something was submitted or reported."""
        for wake in self._wakes:
            wake.set()

    def is_healthy(self) -> bool:
        """Whether every thread lives; a gateway that is not healthy is to be restarted."""
        return not self._failed.is_set()

    def stop(self, seconds: float = 15.0) -> None:
        """End all threads; what they were at is done again by whoever comes next."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(seconds)

    def receive(self, receive: ReceiveEvents, handle: HandleEvents) -> None:
        """Start receiving events."""
        self._add("events", lambda: receive(handle, self._stop))

    def _add(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guard, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            if not self._stop.is_set():
                self._failed.set()
                _log.critical("engine_thread_ended", extra={"thread": name})

    def _repeat(self, each: Round, wake: threading.Event) -> None:
        while not self._stop.is_set():
            wake.clear()
            began = time.monotonic()
            try:
                n_done = each.run()
            except Unavailable as error:
                if self._telemetry:
                    self._telemetry.loop_failed(each.name, error.code)
                _log.warning(
                    "engine_round_failed",
                    extra={"round": each.name, "code": error.code, "reason": error.message},
                )
                self._stop.wait(1.0)
                continue
            if self._telemetry:
                took = time.monotonic() - began
                self._telemetry.loop_ran(each.name, seconds=took, at=time.time())
            if n_done:
                continue
            if each.can_be_woken:
                wake.wait(each.seconds)
                self._stop.wait(max(0.0, began + _GATHER_SECONDS - time.monotonic()))
            else:
                self._stop.wait(each.seconds)


def start_engine(parts: EngineParts, extra: Sequence[Round] = ()) -> Engine:
    """Start the engine's threads and ``extra`` rounds, such as the webhooks' sender."""
    database, clock = parts.database, parts.clock
    backlog = Backlog(parts.count_waiting)
    observe = partial(measure_event, parts.telemetry) if parts.telemetry else observe_nothing

    def send() -> int:
        n_sent = dispatch_ready(database, clock(), headroom=parts.headroom, observe=observe)
        return n_sent + send_letters(database, parts.publisher)

    def look_for_losses() -> int:
        reap(database, backlog, clock(), observe=observe)
        return 0  # what is overdue now was found; the next look can wait

    def forget() -> int:
        return forget_old_rows(database, clock(), parts.ages)

    engine = Engine(
        [
            Round("send", _SEND_SECONDS, send, can_be_woken=True),
            Round("reap", _REAP_SECONDS, look_for_losses),
            Round(
                "remove", _COLLECT_SECONDS, lambda: remove_objects(database, parts.store, clock())
            ),
            Round("expire", _EXPIRE_SECONDS, lambda: expire_uploads(database, clock())),
            Round("forget", _FORGET_SECONDS, forget),
            *extra,
        ],
        parts.telemetry,
    )
    consumer = EventConsumer(
        database, parts.publisher, backlog, clock, engine.wake, observe=observe
    )
    engine.receive(parts.receive, consumer)
    return engine
