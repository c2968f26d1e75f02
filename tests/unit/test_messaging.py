"""Commands and events over the memory broker: order, batches, what is kept and what is dropped."""

import secrets
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from kombu.transport.memory import Channel, Transport

from shared.contracts.command import CancelStage
from shared.contracts.event import StageEvent, WorkerSeen
from shared.errors import InvalidInput, Unavailable
from shared.messaging.celery_app import command_of, create_app, task_message
from shared.messaging.connection import check_broker, open_connection
from shared.messaging.event_source import receive_events
from shared.messaging.publisher import Publisher
from shared.messaging.routes import (
    CONSUMER_TIMEOUT_MS,
    QueueClass,
    event_queue,
    queue_name,
    stage_queue,
    stage_queues,
)
from shared.worker.companion import Presence, keep_company
from shared.worker.loop import Leaving, work_once, work_until
from shared.worker.stopping import Runs, StageStopped
from tests.worker_world import EventLog, make_worker, order, wait_for

MEMORY = "memory://"


@pytest.fixture(autouse=True)
def empty_broker() -> Iterator[None]:
    """The memory broker is one for the whole process."""
    Channel.queues.clear()
    Transport.global_state.clear()
    yield
    Channel.queues.clear()
    Transport.global_state.clear()


def _seen(number: int = 0) -> WorkerSeen:
    return WorkerSeen(
        event_id=f"e{number}",
        worker_id="w",
        service="trainer",
        slots=1,
        busy=0,
        occurred_at=datetime(2026, 11, 21, tzinfo=UTC),
    )


class Hearing:
    """Receives in a thread while the block runs."""

    def __init__(self, n_refusals: int = 0) -> None:
        self.batches: list[list[StageEvent | WorkerSeen]] = []
        self.n_refusals = n_refusals
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=receive_events, args=(MEMORY, self._take, self._stop)
        )

    @property
    def events(self) -> list[StageEvent | WorkerSeen]:
        """All that was taken."""
        return [event for batch in list(self.batches) for event in batch]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _take(self, events: Sequence[StageEvent | WorkerSeen]) -> None:
        if self.n_refusals:
            self.n_refusals -= 1
            raise Unavailable("database_unavailable", "away, for the test")
        self.batches.append(list(events))


def test_events_arrive_in_order_and_in_batches() -> None:
    """Those that were sent before anybody listened too."""
    publisher = Publisher(MEMORY)
    sent = [_seen(number) for number in range(250)]
    for event in sent:
        publisher.send_event(event)

    with Hearing() as hearing:
        wait_for(lambda: len(hearing.events) == len(sent))

    assert sent == hearing.events
    assert max(map(len, hearing.batches)) <= 100


def test_events_are_kept_while_the_database_is_away() -> None:
    """And handled once it is back."""
    Publisher(MEMORY).send_event(_seen(1))

    with Hearing(n_refusals=1) as hearing:
        wait_for(lambda: hearing.events)

    assert [_seen(1)] == hearing.events


def test_a_malformed_event_is_dropped_alone() -> None:
    """The ones beside it are handled."""
    with open_connection(MEMORY) as link:
        producer = link.Producer()
        malformed: list[Any] = [{"type": "surprise"}, [], "text"]
        for body in malformed:
            producer.publish(
                body, routing_key="talksplat.events", declare=[event_queue()], serializer="json"
            )
    Publisher(MEMORY).send_event(_seen(1))

    with Hearing() as hearing:
        wait_for(lambda: hearing.events)

    assert [_seen(1)] == hearing.events


def test_a_queue_is_named_for_service_and_class() -> None:
    """The more urgent one first; quorum, with limits of its own."""
    assert "talksplat.trainer.batch" == queue_name("trainer", "batch")
    assert ["talksplat.trainer.interactive", "talksplat.trainer.batch"] == [
        queue.name for queue in stage_queues("trainer")
    ]
    arguments = stage_queue("renderer", "batch").queue_arguments
    assert ("quorum", 5, CONSUMER_TIMEOUT_MS, "talksplat.dead") == (
        arguments["x-queue-type"],
        arguments["x-delivery-limit"],
        arguments["x-consumer-timeout"],
        arguments["x-dead-letter-routing-key"],
    )


def test_a_command_is_a_celery_task() -> None:
    """Of protocol 2, and read back from its body."""
    body, headers = task_message("j.s.1", {"type": "run_stage"})

    assert ("talksplat.run_stage", "j.s.1", "py") == (
        headers["task"],
        headers["id"],
        headers["lang"],
    )
    assert {"type": "run_stage"} == command_of(body)
    malformed: list[Any] = [None, [], {"a": 1}]
    assert [None, None, None] == [command_of(body) for body in malformed]


def test_the_celery_application_acknowledges_late() -> None:
    """One message at a time, nothing lost with a worker."""
    conf = create_app("amqp://a:b@127.0.0.1:1//", "trainer").conf

    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.broker_transport_options["confirm_publish"]
    assert (1, None, ["json"]) == (
        conf.worker_prefetch_multiplier,
        conf.result_backend,
        conf.accept_content,
    )


@pytest.mark.parametrize("url", ["", "redis://a", "http://a", "amqp"])
def test_a_bad_broker_url_is_refused(url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(InvalidInput) as refusal:
        open_connection(url)

    assert "bad_broker_url" == refusal.value.code


def test_the_memory_broker_answers() -> None:
    """As readiness asks it."""
    check_broker(MEMORY)


@pytest.mark.parametrize("queue_class", ["batch", "interactive"])
def test_the_loop_runs_one_command(tmp_path: Path, queue_class: QueueClass) -> None:
    """Of either class; then there is nothing more to do."""
    log = EventLog()
    worker = make_worker(tmp_path, log)
    Publisher(MEMORY).run_stage(order(), queue_class)

    done = [work_once(MEMORY, worker, _staying(), patience_seconds=0) for _ in range(2)]

    assert [True, False] == done
    assert "stage_succeeded" == log.events[-1].type


def test_the_loop_prefers_what_somebody_waits_for(tmp_path: Path) -> None:
    """Interactive before batch, whichever came first."""
    log = EventLog()
    worker = make_worker(tmp_path, log)
    publisher = Publisher(MEMORY)
    publisher.run_stage(order(job_id="slow", options={"seconds": 0}), "batch")
    publisher.run_stage(order(job_id="quick", options={"seconds": 0}), "interactive")

    work_once(MEMORY, worker, _staying(), patience_seconds=0)

    told = [event for event in log.events if not isinstance(event, WorkerSeen)]
    assert {"quick"} == {event.job_id for event in told}


def test_one_that_leaves_takes_up_nothing(tmp_path: Path) -> None:
    """Asked to go while it waits, it goes at once and leaves the command to others."""
    log = EventLog()
    worker = make_worker(tmp_path, log)
    leaving = _staying()
    leaving.idle.set()
    Publisher(MEMORY).run_stage(order(), "batch")

    assert not work_once(MEMORY, worker, leaving, patience_seconds=60)
    assert [] == log.events


def test_one_that_leaves_lets_its_stage_end(tmp_path: Path) -> None:
    """The grace is over only when it is told so."""
    log = EventLog()
    worker = make_worker(tmp_path, log)
    leaving = _staying()
    Publisher(MEMORY).run_stage(order(options={"seconds": 0.5}), "batch")
    threading.Timer(0.2, leaving.idle.set).start()

    assert work_once(MEMORY, worker, leaving, patience_seconds=60)
    assert "stage_succeeded" == log.events[-1].type


def test_a_loop_that_stops_hands_its_command_back(tmp_path: Path) -> None:
    """For the next worker."""
    log = EventLog()
    worker = make_worker(tmp_path, log)
    Publisher(MEMORY).run_stage(order(options={"fault": "hang"}), "batch")
    stop = threading.Event()
    thread = threading.Thread(target=work_until, args=(MEMORY, worker, stop))
    thread.start()
    wait_for(lambda: worker.runs.n_busy)

    stop.set()
    thread.join(10)

    assert not thread.is_alive()
    with open_connection(MEMORY) as link:
        again = stage_queue("trainer", "batch")(link.channel()).get()
    assert again is not None


def test_a_worker_hears_cancels_and_says_that_it_lives() -> None:
    """At its start, and with no slots at its end."""
    log, runs = EventLog(), Runs()
    stop_run = runs.begin(("j", "s", 1))
    worker_id = f"w-{secrets.token_hex(4)}"
    presence = Presence(worker_id, "trainer", runs, log, lambda: datetime.now(UTC))
    stop = threading.Event()
    thread = threading.Thread(target=keep_company, args=(MEMORY, presence, stop))
    thread.start()
    publisher = Publisher(MEMORY)

    def cancel() -> bool:
        publisher.cancel_stage(CancelStage(job_id="j", stage="s", attempt=1))
        return stop_run.reason is not None

    wait_for(cancel)
    stop.set()
    thread.join(10)

    assert "canceled" == stop_run.reason
    with pytest.raises(StageStopped):
        stop_run.check()
    seen = [event for event in log.events if isinstance(event, WorkerSeen)]
    assert [1, 0] == [seen[0].slots, seen[-1].slots]
    assert {1} == {event.busy for event in seen}


def _staying() -> Leaving:
    """Nobody asks to go."""
    return Leaving(threading.Event(), threading.Event())
