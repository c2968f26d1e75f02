"""A thread beside every worker: hears cancels, and says every few seconds that the worker lives."""

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from kombu import Connection, Consumer
from kombu.message import Message
from pydantic import ValidationError

from shared.contracts.command import COMMAND, CancelStage
from shared.contracts.event import WorkerSeen
from shared.errors import Unavailable
from shared.messaging.connection import HEARTBEAT_SECONDS, broker_errors, open_connection
from shared.messaging.routes import control_queue
from shared.observability.logs import log_event
from shared.worker.reporter import SendEvent
from shared.worker.stopping import Runs

SEEN_SECONDS = 5.0
_DRAIN_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Presence(NamedTuple):
    """Who a worker is, as the gateway sees it."""

    worker_id: str
    service: str
    runs: Runs
    send: SendEvent
    clock: Callable[[], datetime]


def keep_company(broker_url: str, presence: Presence, stop: threading.Event) -> None:
    """Hear cancels and tell of the worker until ``stop``; reconnects for as long as it takes."""
    teller = threading.Thread(target=_tell, args=(presence, stop), daemon=True)
    teller.start()
    while not stop.is_set():
        try:
            with broker_errors(), open_connection(broker_url, heartbeat=HEARTBEAT_SECONDS) as link:
                link.ensure_connection(max_retries=1)
                _hear(link, presence, stop)
        except Unavailable as error:
            log_event(_log, "control_interrupted", level=logging.WARNING, reason=error.message)
            stop.wait(_RETRY_SECONDS)
    teller.join()


def _hear(link: Connection, presence: Presence, stop: threading.Event) -> None:
    def obey(message: Message) -> None:
        message.ack()
        try:
            command = COMMAND.validate_python(message.decode())
        except (ValidationError, ValueError):
            log_event(_log, "control_malformed", level=logging.ERROR)
            return
        if isinstance(command, CancelStage):
            presence.runs.cancel((command.job_id, command.stage, command.attempt))

    queue = control_queue(presence.worker_id)
    with Consumer(link.channel(), [queue], on_message=obey, accept=["json"]):
        while not stop.is_set():
            try:
                link.drain_events(timeout=_DRAIN_SECONDS)
            except TimeoutError:
                link.heartbeat_check()


def _tell(presence: Presence, stop: threading.Event) -> None:
    while True:
        is_last = stop.is_set()
        asked_at = monotonic()
        try:
            presence.send(_seen(presence, 0 if is_last else 1))
        except Unavailable as error:
            log_event(_log, "presence_lost", level=logging.WARNING, reason=error.message)
        if is_last:
            return
        stop.wait(max(0.0, SEEN_SECONDS - (monotonic() - asked_at)))


def _seen(presence: Presence, slots: int) -> WorkerSeen:
    return WorkerSeen(
        event_id=secrets.token_hex(16),
        worker_id=presence.worker_id,
        service=presence.service,
        slots=slots,
        busy=presence.runs.n_busy,
        occurred_at=presence.clock(),
    )
