"""A database with an engine, and a broker and workers played by the test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.db import jobs, tables
from api.db.job_events import events_after
from api.db.migrate import migrate_database
from api.db.records import JobEvent, Quotas, Tenant
from api.db.session import engine_work, open_database, tenant_work
from api.db.tenants import add_tenant
from api.ids import Kind, new_id
from api.jobs.backlog import Backlog
from api.jobs.collector import remove_objects
from api.jobs.dispatcher import dispatch_ready
from api.jobs.event_consumer import EventConsumer
from api.jobs.job import Job, Stage
from api.jobs.outbox import send_letters
from api.jobs.plan import StageSpec
from api.jobs.reaper import reap
from api.jobs.use_cases import Origin, new_job, submit_job
from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import StageEvent, WorkerSeen
from shared.errors import Unavailable
from shared.object_stores.memory import MemoryStore
from tests.job_worlds import DIAMOND, START, seconds, started, succeeded

SERVICES = ("preprocess", "trainer", "audio2motion", "renderer", "evaluator")


@dataclass
class FakeBroker:
    """Takes commands; can be away, or break off right after it has taken one."""

    sent: list[RunStage] = field(default_factory=list)
    canceled: list[CancelStage] = field(default_factory=list)
    n_waiting: int = 0
    """Events that nobody has taken."""
    is_away: bool = False
    crash_after: int | None = None
    """Raise once so many commands were taken."""

    def run_stage(self, command: RunStage, queue_class: Literal["interactive", "batch"]) -> None:
        """Take a command."""
        self._answer()
        assert queue_class in {"interactive", "batch"}
        self.sent.append(command)
        if self.crash_after is not None and len(self.sent) >= self.crash_after:
            self.crash_after = None
            raise KeyboardInterrupt

    def cancel_stage(self, command: CancelStage) -> None:
        """Take an order to stop."""
        self._answer()
        self.canceled.append(command)

    def count_waiting(self) -> int:
        """What was set."""
        self._answer()
        return self.n_waiting

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("broker_unavailable", "away")


class World:
    """The engine's parts, stepped by hand."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        self.now: datetime = START
        self.broker = FakeBroker()
        self.store = MemoryStore()
        self.backlog = Backlog(self.broker.count_waiting)
        self.consumer = EventConsumer(
            database, self.broker, self.backlog, lambda: self.now, lambda: None
        )
        self._reports = count()

    @property
    def origin(self) -> Origin:
        """Now, with the product's ids."""
        return Origin(self.now, self.draw_id, "00-" + "1" * 32 + "-" + "2" * 16 + "-01")

    def draw_id(self, kind: Kind) -> str:
        """An id."""
        return new_id(kind, self.now)

    def add_tenant(self, name: str, *, weight: float = 1.0, **quotas: Any) -> str:  # noqa: ANN401
        """A new tenant."""
        tenant_id = self.draw_id("ten")
        tenant = Tenant(
            tenant_id=tenant_id,
            name=f"{name}-{tenant_id}",
            weight=weight,
            quotas=Quotas(**{"max_running_jobs": 1000, "max_open_jobs": 10_000, **quotas}),
            created_at=self.now,
            disabled_at=None,
        )
        with engine_work(self.database) as work:
            add_tenant(work, tenant)
        return tenant_id

    def make_job(self, tenant_id: str, plan: tuple[StageSpec, ...] = DIAMOND) -> Job:
        """A job that is not stored."""
        return new_job(
            "made_up",
            tenant_id,
            "res_1",
            self.origin,
            inputs={"x": f"tenants/{tenant_id}/uploads/x"},
            options={},
            plans={"made_up": lambda _options: plan},
        )

    def submit(self, tenant_id: str, plan: tuple[StageSpec, ...] = DIAMOND) -> Job:
        """A new job of ``plan`` for a tenant."""
        with tenant_work(self.database, tenant_id) as work:
            return submit_job(work, self.make_job(tenant_id, plan), self.now)

    def workers(self, slots: int = 1, busy: int = 0, services: Sequence[str] = SERVICES) -> None:
        """One worker of each service reports."""
        self.report(
            *(
                WorkerSeen(
                    event_id=f"seen-{next(self._reports)}",
                    worker_id=f"w-{service}",
                    service=service,
                    slots=slots,
                    busy=busy,
                    occurred_at=self.now,
                )
                for service in services
            )
        )

    def report(self, *events: StageEvent | WorkerSeen) -> None:
        """Workers report."""
        self.consumer(events)

    def send(self) -> list[RunStage]:
        """Dispatch and send everything that can be sent now; what arrived at the broker."""
        before = len(self.broker.sent)
        dispatch_ready(self.database, self.now)
        while send_letters(self.database, self.broker):
            pass
        return self.broker.sent[before:]

    def work_off(self, commands: Sequence[RunStage]) -> None:
        """Workers run commands to their good end."""
        for command in commands:
            job = self.job(command.job_id)
            attempt = command.attempt
            self.report(started(job, command.stage, attempt=attempt))
            self.report(succeeded(job, command.stage, attempt=attempt))

    def run_everything(self) -> list[RunStage]:
        """Send and work off until there is nothing more."""
        done: list[RunStage] = []
        while commands := self.send():
            self.work_off(commands)
            done += commands
        return done

    def pass_time(self, n: float) -> None:
        """Let time pass."""
        self.now += seconds(n)

    def reap(self) -> int:
        """Look for losses."""
        return reap(self.database, self.backlog, self.now)

    def remove(self) -> int:
        """Remove what is due from the store."""
        n = 0
        while found := remove_objects(self.database, self.store, self.now):
            n += found
        return n

    def job(self, job_id: str) -> Job:
        """The stored job."""
        with engine_work(self.database, is_read_only=True) as work:
            found = jobs.get_job(work, job_id)
        assert found is not None
        return found

    def stage(self, job: Job, name: str) -> Stage:
        """A stored stage."""
        found = self.job(job.job_id).stage(name)
        assert found is not None
        return found

    def log(self, job: Job) -> list[JobEvent]:
        """The job's log."""
        with engine_work(self.database, is_read_only=True) as work:
            return events_after(work, job.job_id, limit=1000)

    def rows(self, table: sa.Table, **where: object) -> list[Mapping[str, Any]]:
        """Stored rows."""
        query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
        with engine_work(self.database, is_read_only=True) as work:
            return [dict(row) for row in work.connection.execute(query).mappings()]

    def standing(self, tenant_id: str) -> tuple[int, int]:
        """Open jobs and stored bytes on a tenant's account."""
        (row,) = self.rows(tables.tenant_usage, tenant_id=tenant_id)
        return row["n_open_jobs"], row["stored_bytes"]


def sqlite_database(folder: Path) -> Engine:
    """A migrated SQLite database in ``folder``."""
    url = f"sqlite:///{folder / 'talksplat.db'}"
    migrate_database(url)
    return open_database(url)
