"""A job's log: streams resume in it, webhooks tell of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from api.db.records import JobEvent
from api.db.tables import job_events
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import Job


def newest_sequence(work: UnitOfWork, job_id: str) -> int:
    """Number of the newest line, 0 before the first one."""
    query = sa.select(sa.func.coalesce(sa.func.max(job_events.c.sequence), 0)).where(
        job_events.c.job_id == job_id, work.owned(job_events)
    )
    return work.connection.execute(query).scalar_one()


def add_event(
    work: UnitOfWork,
    job: Job,
    sequence: int,
    type_: str,
    *,
    data: Mapping[str, Any],
    now: datetime,
) -> JobEvent:
    """Write a line; the job is locked, so that numbers have no gaps and no twins."""
    event = JobEvent(
        job_id=job.job_id,
        sequence=sequence,
        type=type_,
        data={"status": job.status.value, **data},
        occurred_at=now,
    )
    row = {
        "job_id": event.job_id,
        "sequence": event.sequence,
        "tenant_id": job.tenant_id,
        "type": event.type,
        "data": event.data,
        "occurred_at": event.occurred_at,
    }
    work.connection.execute(sa.insert(job_events).values(row))
    return event


def events_after(
    work: UnitOfWork, job_id: str, sequence: int = 0, *, limit: int = 100
) -> list[JobEvent]:
    """Lines after ``sequence``, in order."""
    table = job_events
    query = (
        sa.select(*(table.c[name] for name in JobEvent.__dataclass_fields__))
        .where(table.c.job_id == job_id, table.c.sequence > sequence, work.owned(table))
        .order_by(table.c.sequence)
        .limit(limit)
    )
    return [JobEvent(**row) for row in work.connection.execute(query).mappings()]


def forget_before(work: UnitOfWork, before: datetime, *, limit: int = 10_000) -> int:
    """Remove some lines older than ``before``; returns how many."""
    table = job_events
    old = (
        sa.select(table.c.job_id, table.c.sequence)
        .where(table.c.occurred_at < before, work.owned(table))
        .limit(limit)
    )
    found = sa.delete(table).where(sa.tuple_(table.c.job_id, table.c.sequence).in_(old))
    return work.connection.execute(found).rowcount
