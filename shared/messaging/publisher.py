"""Sends commands and events; returns when the broker has them for good."""

import threading
from typing import Any

from kombu import Connection, Exchange, Producer, Queue
from pydantic import BaseModel

from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import StageEvent, WorkerSeen
from shared.errors import Unavailable
from shared.messaging.celery_app import task_message
from shared.messaging.connection import broker_errors, open_connection
from shared.messaging.routes import CONTROL, DEAD, QueueClass, event_queue, stage_queue

CONFIRM_SECONDS = 10.0
_TRIES = 2
"""The first may find a connection that the broker has closed meanwhile."""


class Publisher:
    """One connection to the broker, shared by the threads of a process.

    Every method raises ``Unavailable`` with ``broker_unavailable`` when the broker did not confirm;
    the message may then have arrived or not.
    """

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def run_stage(self, command: RunStage, queue_class: QueueClass) -> None:
        """Put a command into the queue of its service."""
        queue = stage_queue(command.service, queue_class)
        task_id = f"{command.job_id}.{command.stage}.{command.attempt}"
        body, headers = task_message(task_id, command.model_dump(mode="json"))
        self._publish(body, headers, queue=queue, correlation_id=task_id)

    def cancel_stage(self, command: CancelStage) -> None:
        """Tell every running worker."""
        self._publish(command.model_dump(mode="json"), {}, exchange=CONTROL)

    def send_event(self, event: StageEvent | WorkerSeen) -> None:
        """Put an event into the gateway's queue."""
        self._publish(_body(event), {}, queue=event_queue())

    def close(self) -> None:
        """Drop the connection; the next message makes another."""
        with self._lock:
            self._drop()

    def _publish(
        self,
        body: Any,  # noqa: ANN401 - anything that JSON can say
        headers: dict[str, Any],
        *,
        queue: Queue | None = None,
        exchange: Exchange | None = None,
        **properties: str,
    ) -> None:
        declare = [exchange] if queue is None else [DEAD, queue]
        with self._lock:
            for left in reversed(range(_TRIES)):
                try:
                    with broker_errors():
                        self._open().publish(
                            body,
                            routing_key="" if queue is None else queue.name,
                            exchange=exchange or "",
                            headers=headers,
                            serializer="json",
                            delivery_mode=2,
                            declare=declare,
                            timeout=CONFIRM_SECONDS,
                            confirm_timeout=CONFIRM_SECONDS,
                            **properties,
                        )
                except Unavailable:
                    self._drop()
                    if not left:
                        raise
                else:
                    return

    def _open(self) -> Producer:
        if self._producer is None:
            self._connection = open_connection(self._broker_url)
            self._connection.ensure_connection(max_retries=1, timeout=CONFIRM_SECONDS)
            self._producer = Producer(self._connection.channel(), auto_declare=False)
        return self._producer

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.collect(socket_timeout=1.0)


def _body(event: StageEvent | WorkerSeen) -> dict[str, Any]:
    message: BaseModel = event
    return message.model_dump(mode="json")
