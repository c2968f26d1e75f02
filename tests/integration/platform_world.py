"""Real workers on real servers: starts them, orders stages, hears events."""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import StageEvent, StageProgress, WorkerSeen
from shared.messaging.event_source import receive_events
from shared.messaging.publisher import Publisher
from shared.messaging.routes import QueueClass
from shared.object_store import Store, open_store
from tests.architecture.repository import ROOT
from tests.worker_world import order, wait_for

FINAL = {"stage_succeeded", "stage_failed", "stage_canceled"}


class Gateway:
    """What the gateway does with the broker, without its database."""

    def __init__(self, broker_url: str, store_url: str) -> None:
        self.broker_url = broker_url
        self.store_url = store_url
        self.publisher = Publisher(broker_url)
        self.store: Store = open_store(store_url)
        self.events: list[StageEvent] = []
        self.workers: list[WorkerSeen] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=receive_events, args=(broker_url, self._hear, self._stop), daemon=True
        )
        self._thread.start()

    def order(self, queue_class: QueueClass = "batch", **changes: object) -> RunStage:
        """Send a command for the burning stage, of a job of its own unless told."""
        job_id = str(changes.get("job_id", f"j{secrets.token_hex(6)}"))
        stage = f"tenants/t/jobs/{job_id}/burn/"
        command = order(
            **{
                "job_id": job_id,
                "output_prefix": f"{stage}{changes.get('attempt', 1)}/",
                "checkpoint_prefix": f"{stage}checkpoints/",
                **changes,
            }
        )
        self.publisher.run_stage(command, queue_class)
        return command

    def cancel(self, command: RunStage) -> None:
        """Send the order to stop."""
        self.publisher.cancel_stage(
            CancelStage(job_id=command.job_id, stage=command.stage, attempt=command.attempt)
        )

    def of(self, command: RunStage) -> list[StageEvent]:
        """What was heard of an attempt."""
        wanted = (command.job_id, command.stage, command.attempt)
        return [e for e in list(self.events) if (e.job_id, e.stage, e.attempt) == wanted]

    def finals(self, command: RunStage) -> list[StageEvent]:
        """The events that ended an attempt."""
        return [event for event in self.of(command) if event.type in FINAL]

    def wait_for_final(self, command: RunStage, seconds: float = 120) -> StageEvent:
        """The first event that ended an attempt."""
        wait_for(lambda: self.finals(command), seconds)
        return self.finals(command)[0]

    def wait_for_progress(self, command: RunStage, fraction: float, seconds: float = 120) -> None:
        """Wait until the stage has told so much."""
        wait_for(lambda: self.fraction(command) >= fraction, seconds)

    def fraction(self, command: RunStage) -> float:
        """Share of the stage that was told to be done; -1 before it was begun."""
        told = [e.fraction for e in self.of(command) if isinstance(e, StageProgress)]
        return max([0.0, *told]) if self.of(command) else -1.0

    def close(self) -> None:
        """Stop hearing."""
        self._stop.set()
        self._thread.join(15)
        self.publisher.close()

    def _hear(self, events: Sequence[StageEvent | WorkerSeen]) -> None:
        for event in events:
            if isinstance(event, WorkerSeen):
                self.workers.append(event)
            else:
                self.events.append(event)


class WorkerProcess(NamedTuple):
    """A worker of the product."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        """As a machine that loses its power."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """As a cluster asks it to."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def child_pid(self) -> int | None:
        """The stage that it runs."""
        children = Path(f"/proc/{self.process.pid}/task/")
        pids = [pid for task in children.glob("*/children") for pid in task.read_text().split()]
        return int(pids[0]) if pids else None


@contextmanager
def running_worker(
    gateway: Gateway,
    folder: Path,
    service: str = "trainer",
    entries: str | None = "tests.burn_stage",
    **settings: str,
) -> Iterator[WorkerProcess]:
    """A worker process; killed at the end if it still runs."""
    name = secrets.token_hex(4)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TALKSPLAT_BROKER_URL": gateway.broker_url,
        "TALKSPLAT_STORE_URL": gateway.store_url,
        "TALKSPLAT_WORK_DIR": str(folder / "work"),
        "TALKSPLAT_WORKER_GRACE_SECONDS": "0",
        **settings,
    }
    chosen = [] if entries is None else ["--entries", entries]
    with (folder / f"worker-{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.embedded.cli", "worker", service, *chosen],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield WorkerProcess(process, Path(log.name))
    finally:
        process.kill()
        process.wait()


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that is dead and not yet reaped does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status
