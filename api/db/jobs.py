"""Jobs in the database: the whole job as JSON, and beside it what is searched for.

``save_job`` keeps three tables in step with a job: its row, the stages that may be sent, and the
attempts under way.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from api.db import attempts, ready_stages, usage
from api.db.tables import jobs
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import Job, dump_job, parse_job


def insert_job(work: UnitOfWork, job: Job, now: datetime) -> None:
    """Store a new job and queue its first stages; its place among the tenant's was taken before."""
    row = {"id": job.job_id, "tenant_id": job.tenant_id, "created_at": job.created_at}
    work.connection.execute(sa.insert(jobs).values(**row, **_columns(job, now)))
    ready_stages.sync(work, None, job)


def get_job(work: UnitOfWork, job_id: str) -> Job | None:
    """The job of that id, if this tenant has it."""
    return _read_job(work, job_id, is_locked=False)


def lock_job(work: UnitOfWork, job_id: str) -> Job | None:
    """The same, held against others until the transaction ends."""
    return _read_job(work, job_id, is_locked=True)


def save_job(work: UnitOfWork, before: Job, after: Job, now: datetime) -> None:
    """Store what has become of a job that this transaction has locked."""
    changed = {**_columns(after, now), "version": jobs.c.version + 1}
    statement = sa.update(jobs).where(jobs.c.id == after.job_id, work.owned(jobs))
    work.connection.execute(statement.values(changed))
    ready_stages.sync(work, before, after)
    attempts.sync(work, before, after, now)
    if after.is_terminal and not before.is_terminal:
        usage.leave_job_place(work, after.tenant_id)


def count_by_status(work: UnitOfWork) -> dict[str, int]:
    """How many unfinished jobs there are of each status."""
    query = (
        sa.select(jobs.c.status, sa.func.count())
        .where(jobs.c.finished_at.is_(None), work.owned(jobs))
        .group_by(jobs.c.status)
    )
    return {row[0]: row[1] for row in work.connection.execute(query)}


def count_begun(work: UnitOfWork, tenant_ids: Sequence[str]) -> dict[str, int]:
    """Jobs under way of some tenants, canceling ones included."""
    query = (
        sa.select(jobs.c.tenant_id, sa.func.count())
        .where(
            jobs.c.tenant_id.in_(tenant_ids),
            jobs.c.is_begun,
            jobs.c.finished_at.is_(None),
            work.owned(jobs),
        )
        .group_by(jobs.c.tenant_id)
    )
    return {row[0]: row[1] for row in work.connection.execute(query)}


def _read_job(work: UnitOfWork, job_id: str, *, is_locked: bool) -> Job | None:
    query = sa.select(jobs.c.state).where(jobs.c.id == job_id, work.owned(jobs))
    if is_locked and work.is_postgresql:
        query = query.with_for_update()
    state = work.connection.execute(query).scalar()
    return None if state is None else parse_job(state)


def _columns(job: Job, now: datetime) -> dict[str, Any]:
    return {
        "kind": job.kind,
        "status": job.status.value,
        "is_begun": any(stage.attempt for stage in job.stages),
        "resource_id": job.resource_id,
        "state": dump_job(job),
        "updated_at": now,
        "finished_at": job.finished_at,
    }
