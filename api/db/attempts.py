"""Attempts under way: what the reaper looks through, and what the dispatcher counts."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.tables import attempts
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import OPEN_STAGE, Job, Stage, StageStatus


class OpenAttempt(NamedTuple):
    """An attempt that has not ended."""

    job_id: str
    stage: str
    attempt: int
    service: str
    status: StageStatus
    dispatched_at: datetime
    progressed_at: datetime | None
    lease_until: datetime
    deadline_at: datetime | None


def sync(work: UnitOfWork, before: Job, after: Job, now: datetime) -> None:
    """Make the rows of a job say which attempts are under way."""
    for old, new in zip(before.stages, after.stages, strict=True):
        was_open, is_open = old.status in OPEN_STAGE, new.status in OPEN_STAGE
        if was_open and (not is_open or new.attempt != old.attempt):
            _update(work, after, old, {"status": new.status.value, "closed_at": now})
        if is_open and (not was_open or new.attempt != old.attempt):
            work.connection.execute(sa.insert(attempts).values(_row(after, new)))
        elif is_open and _changing(old) != _changing(new):
            _update(work, after, new, _changing(new))


def open_attempts(work: UnitOfWork) -> list[OpenAttempt]:
    """All attempts under way; as many as the workers can hold, and a few more."""
    names = OpenAttempt._fields
    query = sa.select(*(attempts.c[name] for name in names)).where(
        attempts.c.closed_at.is_(None), work.owned(attempts)
    )
    rows = work.connection.execute(query)
    return [OpenAttempt(**{**row, "status": StageStatus(row["status"])}) for row in rows.mappings()]


def count_open(work: UnitOfWork) -> dict[tuple[str, str, str], int]:
    """Attempts under way by service, queue class and status."""
    columns = (attempts.c.service, attempts.c.queue_class, attempts.c.status)
    query = (
        sa.select(*columns, sa.func.count())
        .where(attempts.c.closed_at.is_(None), work.owned(attempts))
        .group_by(*columns)
    )
    return {(service, kind, st): n for service, kind, st, n in work.connection.execute(query)}


def forget_closed(work: UnitOfWork, before: datetime) -> int:
    """Remove rows of attempts that ended before; their jobs still tell of them."""
    statement = sa.delete(attempts).where(attempts.c.closed_at < before, work.owned(attempts))
    return work.connection.execute(statement).rowcount


def _changing(stage: Stage) -> dict[str, Any]:
    return {
        "status": stage.status.value,
        "worker_id": stage.worker_id,
        "started_at": stage.started_at,
        "progressed_at": stage.progressed_at,
        "lease_until": stage.lease_until,
        "deadline_at": stage.deadline_at,
    }


def _row(job: Job, stage: Stage) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "stage": stage.name,
        "attempt": stage.attempt,
        "tenant_id": job.tenant_id,
        "service": stage.spec.service,
        "queue_class": stage.spec.queue_class.value,
        "dispatched_at": stage.dispatched_at,
        **_changing(stage),
    }


def _update(work: UnitOfWork, job: Job, stage: Stage, changes: dict[str, Any]) -> None:
    work.connection.execute(
        sa.update(attempts)
        .where(
            attempts.c.job_id == job.job_id,
            attempts.c.stage == stage.name,
            attempts.c.attempt == stage.attempt,
            work.owned(attempts),
        )
        .values(changes)
    )
