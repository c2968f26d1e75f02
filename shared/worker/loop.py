"""Takes commands one by one without Celery: for the embedded mode and for ``worker --one``.

A message is fetched when there is time for it and not before, so nothing waits behind a long stage.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from kombu import Connection, Queue
from kombu.message import Message

from shared.errors import Unavailable
from shared.messaging.celery_app import command_of
from shared.messaging.connection import HEARTBEAT_SECONDS, broker_errors, open_connection
from shared.messaging.routes import DEAD, stage_queues
from shared.observability.logs import log_event
from shared.worker.command_message import HandBackError, NoCommandError, obey
from shared.worker.stage_runner import Worker

IDLE_SECONDS = 0.1
"""How often empty queues are looked into."""
_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


def work_until(broker_url: str, worker: Worker, stop: threading.Event) -> None:
    """Run commands of the worker's service until ``stop``; what then runs is handed back."""
    while not stop.is_set():
        try:
            with broker_errors(), open_connection(broker_url, heartbeat=HEARTBEAT_SECONDS) as link:
                link.ensure_connection(max_retries=1)
                queues = _open_queues(link, worker.service)
                while not stop.is_set():
                    message = _fetch(queues)
                    if message is None:
                        stop.wait(IDLE_SECONDS)
                        link.heartbeat_check()
                    else:
                        _do(link, worker, message, stop)
        except Unavailable as error:
            log_event(_log, "worker_interrupted", level=logging.WARNING, reason=error.message)
            stop.wait(_RETRY_SECONDS)


class Leaving(NamedTuple):
    """How a worker of one command is asked to go."""

    idle: threading.Event
    """Take up nothing more."""
    busy: threading.Event
    """Hand back what runs."""


def work_once(
    broker_url: str, worker: Worker, leaving: Leaving, *, patience_seconds: float
) -> bool:
    """Run one command and return True; False when none came for ``patience_seconds``.

    The command is acknowledged, or handed back, before this returns.

    Raises:
        Unavailable: ``broker_unavailable``.
    """
    with broker_errors(), open_connection(broker_url, heartbeat=HEARTBEAT_SECONDS) as link:
        link.ensure_connection(max_retries=1)
        queues = _open_queues(link, worker.service)
        until = monotonic() + patience_seconds
        while not leaving.idle.is_set():
            message = _fetch(queues)
            if message is not None:
                _do(link, worker, message, leaving.busy)
                return True
            if monotonic() >= until:
                return False
            leaving.idle.wait(IDLE_SECONDS)
            link.heartbeat_check()
        return False


def _open_queues(link: Connection, service: str) -> list[Queue]:
    channel = link.channel()
    DEAD(channel).declare()
    queues = [queue(channel) for queue in stage_queues(service)]
    for queue in queues:
        queue.declare()
    return queues


def _fetch(queues: Sequence[Queue]) -> Message | None:
    """The next message, of the more urgent queue if it has one."""
    for queue in queues:
        message = queue.get(no_ack=False, accept=["json"])
        if message is not None:
            return message
    return None


def _do(link: Connection, worker: Worker, message: Message, stop: threading.Event) -> None:
    """Run in a thread, while this one keeps the connection alive."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            obey(worker, command_of(message.payload))
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while thread.is_alive():
            _stay_connected(link, thread)
            if stop.is_set():
                worker.runs.stop_all()
    finally:
        thread.join()
    _settle(message, errors[0] if errors else None)


def _stay_connected(link: Connection, thread: threading.Thread) -> None:
    """Wait a moment for ``thread``; send our heartbeats and read the broker's.

    Nothing is consumed meanwhile, so heartbeats are all that comes. Unread they count as missed.
    """
    if link.heartbeat:
        with suppress(TimeoutError):
            link.drain_events(timeout=IDLE_SECONDS)
    else:
        thread.join(IDLE_SECONDS)
    link.heartbeat_check()


def _settle(message: Message, error: Exception | None) -> None:
    match error:
        case None:
            message.ack()
        case HandBackError():
            message.requeue()
        case NoCommandError():
            message.reject(requeue=False)
        case _:
            message.requeue()
            raise error
