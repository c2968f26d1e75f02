"""Receives events for the gateway, in batches, each acknowledged after it was handled."""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from kombu import Connection, Consumer
from kombu.message import Message
from pydantic import ValidationError

from shared.contracts.event import EVENT, StageEvent, WorkerSeen
from shared.errors import Unavailable
from shared.messaging.connection import HEARTBEAT_SECONDS, broker_errors, open_connection
from shared.messaging.routes import DEAD, event_queue

MAX_BATCH = 100
_WAIT_SECONDS = 0.25
_QUIET_SECONDS = 0.03
"""A batch is closed when nothing has come for so long."""
_LONGEST_SECONDS = 0.5
"""And after so long in any case."""
_RETRY_SECONDS = 1.0

HandleEvents = Callable[[Sequence[StageEvent | WorkerSeen]], None]
"""Takes a batch in the order of arrival. It may raise ``Unavailable``: the batch is kept and tried
again. Whatever else it raises ends the receiving, and the broker keeps the batch."""
_log = logging.getLogger(__name__)


def receive_events(broker_url: str, handle: HandleEvents, stop: threading.Event) -> None:
    """Hand events to ``handle`` until ``stop`` is set; reconnects for as long as it takes."""
    while not stop.is_set():
        try:
            with broker_errors(), open_connection(broker_url, heartbeat=HEARTBEAT_SECONDS) as link:
                link.ensure_connection(max_retries=1)
                _receive(link, handle, stop)
        except Unavailable as error:
            _log.warning("events_interrupted", extra={"reason": error.message})
            stop.wait(_RETRY_SECONDS)


def _receive(link: Connection, handle: HandleEvents, stop: threading.Event) -> None:
    channel = link.channel()
    DEAD(channel).declare()
    arrived: list[Message] = []
    consumer = Consumer(
        channel,
        [event_queue()],
        on_message=arrived.append,
        prefetch_count=MAX_BATCH,
        accept=["json"],
    )
    with consumer:
        while not stop.is_set():
            _gather(link, arrived)
            if arrived:
                batch = [(message, _read(message)) for message in arrived]
                arrived.clear()
                if not _handle(link, handle, [event for _, event in batch if event], stop):
                    return  # stopped; what was not handled comes again
                for message, event in batch:
                    if event is None:
                        message.reject(requeue=False)
                    else:
                        message.ack()


def _gather(link: Connection, arrived: list[Message]) -> None:
    """Wait for a message, then for more until none has come for a moment."""
    began = monotonic()
    quiet_seconds = _WAIT_SECONDS
    while len(arrived) < MAX_BATCH and monotonic() - began < _LONGEST_SECONDS:
        try:
            link.drain_events(timeout=quiet_seconds)
        except TimeoutError:
            break
        quiet_seconds = _QUIET_SECONDS
    link.heartbeat_check()


def _handle(
    link: Connection,
    handle: HandleEvents,
    events: Sequence[StageEvent | WorkerSeen],
    stop: threading.Event,
) -> bool:
    while events:
        try:
            handle(events)
        except Unavailable as error:
            _log.warning("events_kept", extra={"reason": error.message, "n_events": len(events)})
            link.heartbeat_check()
            if stop.wait(_RETRY_SECONDS):
                return False
        else:
            return True
    return True


def _read(message: Message) -> StageEvent | WorkerSeen | None:
    try:
        return EVENT.validate_python(message.decode())
    except (ValidationError, ValueError) as error:
        _log.error("event_malformed", extra={"reason": str(error)[:500]})
        return None
