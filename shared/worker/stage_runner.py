"""Runs one stage of one job: fetch, compute in a child, store, tell.

The same function serves Celery workers, the embedded mode and ``worker --one``. It returns when the
event that ends the attempt is safe with the broker, or raises ``StageStopped`` when the command
shall go to another worker.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep, time
from typing import NamedTuple

from shared.contracts.command import RunStage
from shared.contracts.event import (
    MAX_MESSAGE,
    StageCanceled,
    StageEvent,
    StageFailed,
    StageSucceeded,
)
from shared.errors import PlatformError, Unavailable
from shared.object_store import Store
from shared.observability.logs import bound_fields, log_event, log_failure
from shared.observability.trace import trace_id_of
from shared.observability.worker_telemetry import Outcome, WorkerTelemetry
from shared.worker.final_event import earlier_end, read_earlier_end
from shared.worker.reporter import Reporter, SendEvent
from shared.worker.stage_work import Run, do_work
from shared.worker.stopping import Runs, StageStopped, Stop

_CLEANING_WAITS = (0.0, 0.3, 1.0)
"""Seconds before each try to remove outputs: a cancel must not take longer than five."""
_OUTCOMES: dict[type[StageEvent], Outcome] = {
    StageSucceeded: "succeeded",
    StageFailed: "failed",
    StageCanceled: "canceled",
}
_log = logging.getLogger(__name__)


class Worker(NamedTuple):
    """What a worker has and is; made once per process."""

    worker_id: str
    service: str
    modules: tuple[str, ...]
    """Python modules with the entries that it runs."""
    store: Store
    send: SendEvent
    runs: Runs
    work_dir: Path
    """Where workspaces lie; on a disk with room for inputs and outputs."""
    telemetry: WorkerTelemetry
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def run_stage(worker: Worker, command: RunStage) -> StageEvent:
    """Run ``command`` unless its outputs are there already, and deliver the final event.

    Raises:
        StageStopped: for ``lease`` or ``shutdown``: the command shall be handed back.
        Unavailable: the broker did not take the first event: it shall be handed back too.
    """
    with bound_fields(
        job_id=command.job_id,
        stage=command.stage,
        attempt=command.attempt,
        worker_id=worker.worker_id,
        trace_id=trace_id_of(command.traceparent),
    ):
        reporter = Reporter(command, worker.worker_id, worker.send, worker.clock)
        with _counted(worker, command, reporter) as ended:
            stop = worker.runs.begin(_key(command))
            try:
                reporter.send_started()
                with _alive(reporter, stop):
                    final = _attempt(worker, command, reporter, stop)
                    reporter.send_final(final, stop)
            finally:
                worker.runs.end(_key(command))
            ended.append(final)
        log_event(_log, final.type, seconds=round(reporter.seconds, 3))
        return final


def _attempt(worker: Worker, command: RunStage, reporter: Reporter, stop: Stop) -> StageEvent:
    """Do the work; whatever happens, an event says how it ended."""
    try:
        return earlier_end(worker.store, command, stop) or do_work(
            Run(
                command=command,
                store=worker.store,
                modules=worker.modules,
                work_dir=worker.work_dir,
                reporter=reporter,
                stop=stop,
                telemetry=worker.telemetry,
            )
        )
    except StageStopped as stopped:
        if stopped.reason in {"lease", "shutdown"}:
            raise
        failure = _deadline_exceeded(command) if stopped.reason == "deadline" else None
    except PlatformError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the edge of a run (style guide, Errors)
        log_failure(_log, "stage_broke", error)
        failure = Unavailable(
            "internal_error", "the stage failed unexpectedly; the worker's log has the details"
        )
    if finished := _remove_outputs(worker.store, command):
        return finished
    if failure is None:
        return reporter.make(StageCanceled, seconds=reporter.seconds)
    return reporter.make(
        StageFailed,
        code=failure.code,
        message=failure.message[:MAX_MESSAGE],
        retryable=failure.retryable,
        seconds=reporter.seconds,
    )


def _remove_outputs(store: Store, command: RunStage) -> StageEvent | None:
    """Take back what was stored, unless another run of the attempt has finished it.

    Where the store is away, the gateway's collector removes it later.
    """
    for wait_seconds in _CLEANING_WAITS:
        sleep(wait_seconds)
        try:
            if finished := read_earlier_end(store, command):
                return finished
            store.delete_prefix(command.output_prefix)
        except PlatformError as error:
            log_event(_log, "outputs_left", level=logging.WARNING, reason=error.message)
        else:
            break
    return None


def _deadline_exceeded(command: RunStage) -> PlatformError:
    return Unavailable(
        "deadline_exceeded",
        f"the stage took longer than {command.deadline_seconds:.0f} s and was stopped",
    )


def _key(command: RunStage) -> tuple[str, str, int]:
    return command.job_id, command.stage, command.attempt


@contextmanager
def _counted(worker: Worker, command: RunStage, reporter: Reporter) -> Iterator[list[StageEvent]]:
    """Count the run; the block leaves the event that ended it, or nothing."""
    ended: list[StageEvent] = []
    worker.telemetry.stage_started(command.stage)
    try:
        yield ended
    finally:
        outcome = _OUTCOMES[type(ended[0])] if ended else "lost"
        worker.telemetry.stage_finished(command.stage, outcome, seconds=reporter.seconds, at=time())


@contextmanager
def _alive(reporter: Reporter, stop: Stop) -> Iterator[None]:
    """Send heartbeats and watch the clocks while the block runs."""
    ended = threading.Event()
    threads = [
        threading.Thread(target=reporter.beat, args=(ended,), daemon=True),
        threading.Thread(target=reporter.watch, args=(ended, stop), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        threads[1].join()
