"""The queue that the dispatcher reads: one row for each stage that may be sent.

Reading it costs as many index look-ups as there are tenants waiting, whatever the number of jobs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from api.db.statements import upsert
from api.db.tables import ready_stages
from api.db.unit_of_work import UnitOfWork
from api.jobs.choose_next import Candidate
from api.jobs.job import Job, Stage, StageStatus
from api.jobs.plan import QueueClass

_RANK = {QueueClass.interactive: 0, QueueClass.batch: 1}


def sync(work: UnitOfWork, before: Job | None, after: Job) -> None:
    """Make the rows of a job say which of its stages are ready."""
    old, new = _rows(before), _rows(after)
    gone = [stage for stage in old if stage not in new]
    if gone:
        work.connection.execute(
            sa.delete(ready_stages).where(
                ready_stages.c.job_id == after.job_id,
                ready_stages.c.stage.in_(gone),
                work.owned(ready_stages),
            )
        )
    for stage, row in new.items():
        if old.get(stage) != row:
            upsert(work, ready_stages, [row], row)


def waiting_tenants(work: UnitOfWork, service: str) -> list[str]:
    """Tenants with ready stages at ``service``: one index look-up for each of them."""
    of_service = ready_stages.c.service == service
    first = sa.select(sa.func.min(ready_stages.c.tenant_id).label("tenant_id")).where(of_service)
    chain = first.cte("waiting", recursive=True)
    following = (
        sa.select(sa.func.min(ready_stages.c.tenant_id))
        .where(of_service, ready_stages.c.tenant_id > chain.c.tenant_id)
        .scalar_subquery()
    )
    chain = chain.union_all(sa.select(following).where(chain.c.tenant_id.is_not(None)))
    query = sa.select(chain.c.tenant_id).where(chain.c.tenant_id.is_not(None))
    return list(work.connection.execute(query).scalars())


def services_waited_for(work: UnitOfWork) -> list[str]:
    """Services with any ready stage, found the same way."""
    first = sa.select(sa.func.min(ready_stages.c.service).label("service"))
    chain = first.cte("services", recursive=True)
    following = (
        sa.select(sa.func.min(ready_stages.c.service))
        .where(ready_stages.c.service > chain.c.service)
        .scalar_subquery()
    )
    chain = chain.union_all(sa.select(following).where(chain.c.service.is_not(None)))
    query = sa.select(chain.c.service).where(chain.c.service.is_not(None))
    return list(work.connection.execute(query).scalars())


def first_of_tenants(
    work: UnitOfWork, service: str, tenant_ids: Sequence[str], now: datetime, *, limit: int
) -> dict[str, list[Candidate]]:
    """The next stages of each tenant, interactive ones first, then those of jobs under way.

    At most ``limit`` of jobs under way and ``limit`` of new ones, so that a tenant that may begin
    nothing still goes on.
    """
    found: dict[str, list[Candidate]] = {}
    for is_new in (0, 1):
        for tenant_id, candidates in _first(work, service, tenant_ids, now, limit, is_new).items():
            found.setdefault(tenant_id, []).extend(candidates)
    for candidates in found.values():
        candidates.sort(key=lambda each: (not each.is_interactive, each.is_new))
    return found


def _first(  # noqa: PLR0917 - the whole question
    work: UnitOfWork,
    service: str,
    tenant_ids: Sequence[str],
    now: datetime,
    limit: int,
    is_new: int,
) -> dict[str, list[Candidate]]:
    table = ready_stages
    columns = (table.c.tenant_id, table.c.job_id, table.c.stage, table.c.class_rank)
    first = (
        sa.select(*columns)
        .where(table.c.service == service, table.c.not_before <= now, table.c.is_new == is_new)
        .order_by(table.c.class_rank, table.c.queued_at, table.c.job_id)
        .limit(limit)
    )
    if work.is_postgresql:
        names = sa.bindparam("names", list(tenant_ids), ARRAY(sa.String))
        tenants = sa.select(sa.func.unnest(names).label("id")).subquery()
        of_each = first.where(table.c.tenant_id == tenants.c.id).lateral()
        rows = list(work.connection.execute(sa.select(of_each).select_from(tenants, of_each)))
    else:
        rows = [
            row
            for name in tenant_ids
            for row in work.connection.execute(first.where(table.c.tenant_id == name))
        ]
    found: dict[str, list[Candidate]] = {}
    for tenant_id, job_id, stage, rank in rows:
        found.setdefault(tenant_id, []).append(
            Candidate(job_id=job_id, stage=stage, is_interactive=rank == 0, is_new=bool(is_new))
        )
    return found


def queue_position(work: UnitOfWork, job: Job, *, longest: int = 1000) -> int | None:
    """Place of a queued job in its tenant's own queue, from 1; at most ``longest``.

    None when none of its stages waits to be sent.
    """
    row = next(iter(_rows(job).values()), None)
    if row is None:
        return None
    table = ready_stages
    order = ("is_new", "class_rank", "queued_at", "job_id")
    before = sa.tuple_(*(table.c[name] for name in order)) < sa.tuple_(
        *(sa.literal(row[name], table.c[name].type) for name in order)
    )
    ahead = (
        sa.select(sa.literal(1))
        .where(table.c.service == row["service"], table.c.tenant_id == job.tenant_id, before)
        .limit(longest - 1)
        .subquery()
    )
    n_ahead = work.connection.execute(sa.select(sa.func.count()).select_from(ahead)).scalar_one()
    return int(n_ahead) + 1


def count_ready(work: UnitOfWork) -> dict[tuple[str, str], int]:
    """Ready stages by service and queue class, for telemetry and autoscaling."""
    table = ready_stages
    query = sa.select(table.c.service, table.c.queue_class, sa.func.count()).where(
        work.owned(table)
    )
    grouped = query.group_by(table.c.service, table.c.queue_class)
    return {(service, kind): n for service, kind, n in work.connection.execute(grouped)}


def oldest_ready(work: UnitOfWork) -> dict[tuple[str, str], datetime]:
    """Since when the longest waiting stage of each service and class may be sent."""
    table = ready_stages
    query = sa.select(table.c.service, table.c.queue_class, sa.func.min(table.c.not_before)).where(
        work.owned(table)
    )
    grouped = query.group_by(table.c.service, table.c.queue_class)
    return {(service, kind): since for service, kind, since in work.connection.execute(grouped)}


def _rows(job: Job | None) -> Mapping[str, dict[str, Any]]:
    if job is None:
        return {}
    is_new = int(not any(stage.attempt for stage in job.stages))
    return {
        stage.name: _row(job, stage, is_new)
        for stage in job.stages
        if stage.status is StageStatus.ready
    }


def _row(job: Job, stage: Stage, is_new: int) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "stage": stage.name,
        "tenant_id": job.tenant_id,
        "service": stage.spec.service,
        "queue_class": stage.spec.queue_class.value,
        "class_rank": _RANK[stage.spec.queue_class],
        "is_new": is_new,
        "queued_at": job.created_at,
        "not_before": stage.not_before or job.created_at,
    }
