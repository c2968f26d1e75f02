"""The Celery worker of one service: one stage at a time, each message acknowledged at its end.

Celery's own prefetch would let a worker hold a second message behind a stage of hours, one for each
of its queues, while other workers are idle. So a worker that has got a message stops consuming
until that is done, and hands back what came at the same moment.
"""

import logging
import threading
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import Reject
from celery.worker import state
from celery.worker import strategy as strategies
from celery.worker.consumer import Consumer
from celery.worker.consumer.tasks import Tasks
from kombu.message import Message

from shared.messaging.celery_app import RUN_STAGE, create_app
from shared.worker.command_message import HandBackError, NoCommandError, obey
from shared.worker.stage_runner import Worker

_LOOK_SECONDS = 0.1
_log = logging.getLogger(__name__)


def run_celery_worker(broker_url: str, worker: Worker, *, grace_seconds: float) -> None:
    """Work until SIGTERM or SIGINT.

    Args:
        broker_url: ``amqp://``.
        worker: What it is and has.
        grace_seconds: A stage that is not done so long after the signal is killed and handed back;
            the next worker goes on from its last checkpoint.
    """
    app = create_app(broker_url, worker.service)
    _add_task(app, worker)
    app.conf.worker_consumer = "shared.worker.celery_worker:StageConsumer"
    signals.setup_logging.connect(_leave_logging, weak=False)
    leaving = _Leaving(worker, grace_seconds)
    signals.worker_shutting_down.connect(leaving.begin, weak=False)
    celery_worker = app.Worker(
        hostname=worker.worker_id,
        pool="threads",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    celery_worker.start()


def hand_over(task: Any, app: Celery, consumer: Consumer, **options: Any) -> Any:  # noqa: ANN401
    """Celery's strategy for our task: one message at a time goes to the pool."""
    accept = strategies.default(task, app, consumer, **options)

    def handle(message: Message, *rest: Any, **more: Any) -> None:  # noqa: ANN401
        gate: _Gate = consumer.talksplat_gate
        if gate.is_busy():
            message.requeue()
        else:
            accept(message, *rest, **more)
        gate.look()

    return handle


class StageConsumer(Consumer):
    """Celery's consumer without remote control, gossip, and queues for delayed tasks."""

    class Blueprint(Consumer.Blueprint):
        """Connect, consume, loop."""

        default_steps = (
            "celery.worker.consumer.connection:Connection",
            "celery.worker.consumer.mingle:Mingle",
            "celery.worker.consumer.events:Events",
            "celery.worker.consumer.tasks:Tasks",
            "celery.worker.consumer.consumer:Evloop",
            "shared.worker.celery_worker:OneAtATime",
        )


class OneAtATime(bootsteps.StartStopStep):
    """Opens and closes the gate for as long as there is a connection."""

    requires = (Tasks,)

    def start(self, parent: Consumer) -> None:
        """Begin to look."""
        parent.talksplat_gate = _Gate(parent)
        parent.timer.call_repeatedly(_LOOK_SECONDS, parent.talksplat_gate.look)


class _Gate:
    """Consumes while nothing runs. Lives in the thread of Celery's event loop."""

    def __init__(self, consumer: Consumer) -> None:
        self._tasks = consumer.task_consumer
        self._is_closed = False

    @staticmethod
    def is_busy() -> bool:
        """Tell whether a message is being worked on."""
        return bool(state.reserved_requests)

    def look(self) -> None:
        """Stop or begin to consume."""
        is_busy = self.is_busy()
        if is_busy == self._is_closed:
            return
        self._is_closed = is_busy  # first: messages may come in while the broker answers
        if is_busy:
            self._tasks.cancel()
        else:
            self._tasks.consume()


class _Leaving:
    """Lets the running stage end by itself for a while, then hands it back."""

    def __init__(self, worker: Worker, grace_seconds: float) -> None:
        self._worker = worker
        self._grace_seconds = grace_seconds

    def begin(self, **_said: Any) -> None:  # noqa: ANN401 - a signal's arguments
        """Start the clock."""
        timer = threading.Timer(self._grace_seconds, self._worker.runs.stop_all)
        timer.daemon = True
        timer.start()


def _add_task(app: Celery, worker: Worker) -> None:
    @app.task(
        name=RUN_STAGE,
        acks_late=True,
        ignore_result=True,
        Strategy="shared.worker.celery_worker:hand_over",
    )
    def run(command: Any) -> None:  # noqa: ANN401 - checked by obey
        try:
            obey(worker, command)
        except HandBackError as error:
            raise Reject(str(error), requeue=True) from error
        except NoCommandError as error:
            raise Reject(str(error), requeue=False) from error


def _leave_logging(**_said: Any) -> None:  # noqa: ANN401 - a signal's arguments
    """Celery sets up no logging where somebody listens to this signal."""
