"""A worker without servers: a store in memory, and a list for a broker."""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from prometheus_client import CollectorRegistry

from shared.contracts.command import RunStage
from shared.contracts.event import StageEvent, WorkerSeen
from shared.errors import Unavailable
from shared.object_store import Store, open_store
from shared.observability.worker_telemetry import WorkerTelemetry
from shared.worker.stage_runner import Worker
from shared.worker.stopping import Runs


class EventLog:
    """Takes events as the broker does, and can be away."""

    def __init__(self) -> None:
        self.events: list[StageEvent | WorkerSeen] = []
        self.is_away = False
        self._lock = threading.Lock()

    def __call__(self, event: StageEvent | WorkerSeen) -> None:
        """Take an event."""
        if self.is_away:
            raise Unavailable("broker_unavailable", "away, for the test")
        with self._lock:
            self.events.append(event)

    def types(self) -> list[str]:
        """Sorts of events, those that follow each other once."""
        said = [event.type for event in self.events]
        return [kind for n, kind in enumerate(said) if n == 0 or said[n - 1] != kind]


def make_worker(
    tmp_path: Path,
    log: EventLog,
    modules: tuple[str, ...] = ("tests.burn_stage",),
    store: Store | None = None,
) -> Worker:
    """A worker for test entries."""
    return Worker(
        worker_id=f"w-{secrets.token_hex(4)}",
        service="trainer",
        modules=modules,
        store=store or open_store(f"memory://{secrets.token_hex(8)}"),
        send=log,
        runs=Runs(),
        work_dir=tmp_path / "work",
        telemetry=WorkerTelemetry(CollectorRegistry()),
    )


def order(**changes: Any) -> RunStage:  # noqa: ANN401 - fields of the command
    """A command for the burning stage."""
    attempt = changes.pop("attempt", 1)
    stage = "tenants/t/jobs/j/burn/"
    fields = {
        "job_id": "j",
        "tenant_id": "t",
        "kind": "burn",
        "stage": "burn",
        "service": "trainer",
        "entry": "burn.burn",
        "attempt": attempt,
        "options": {"seconds": 0.05},
        "output_prefix": f"{stage}{attempt}/",
        "checkpoint_prefix": f"{stage}checkpoints/",
        "lease_seconds": 20,
        "deadline_seconds": 60,
        **changes,
    }
    return RunStage.model_validate(fields)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until ``condition`` holds."""
    until = monotonic() + seconds
    while not condition():
        assert monotonic() < until, "waited in vain"
        sleep(0.02)
