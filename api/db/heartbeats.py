"""Heartbeats in the database: the tenant they run under, the newest ones, and forgetting old ones.

They are found by tenant, over the indexes that listings use.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from api.db.tables import attempts, job_events, jobs, ready_stages, tenants
from api.db.unit_of_work import UnitOfWork
from shared.observability.engine_gauges import Heartbeat

HEARTBEAT_TENANT = "talksplat-heartbeat"
"""Name of the tenant; no key of it is ever made."""


def heartbeat_tenant(work: UnitOfWork) -> str | None:
    """Id of the tenant that heartbeats run under, once there is one."""
    query = sa.select(tenants.c.id).where(tenants.c.name == HEARTBEAT_TENANT)
    found: str | None = work.connection.execute(query).scalar()
    return found


def newest_heartbeat(work: UnitOfWork, tenant_id: str) -> datetime | None:
    """When the newest one was submitted."""
    query = sa.select(sa.func.max(jobs.c.created_at, type_=jobs.c.created_at.type))
    found: datetime | None = work.connection.execute(
        query.where(jobs.c.tenant_id == tenant_id)
    ).scalar()
    return found


def read_heartbeat(work: UnitOfWork, now: datetime) -> Heartbeat | None:
    """How the heartbeats do; None where none was ever sent."""
    tenant_id = heartbeat_tenant(work)
    if tenant_id is None:
        return None
    own = jobs.c.tenant_id == tenant_id
    newest = sa.select(jobs.c.created_at, jobs.c.finished_at).order_by(jobs.c.created_at.desc())
    success = work.connection.execute(
        newest.where(own, jobs.c.status == "succeeded").limit(1)
    ).one_or_none()
    oldest_open = work.connection.execute(
        sa.select(sa.func.min(jobs.c.created_at, type_=jobs.c.created_at.type)).where(
            own, jobs.c.status.in_(("queued", "running", "canceling"))
        )
    ).scalar()
    return Heartbeat(
        succeeded_at=success.finished_at.timestamp() if success else None,
        seconds=_seconds(success.created_at, success.finished_at) if success else 0.0,
        open_seconds=_seconds(oldest_open, now) if oldest_open else 0.0,
    )


def forget_heartbeats(work: UnitOfWork, tenant_id: str, before: datetime) -> int:
    """Remove heartbeats that ended before, with all that is told of them; returns how many."""
    old = sa.select(jobs.c.id).where(jobs.c.tenant_id == tenant_id, jobs.c.finished_at < before)
    for table in (job_events, attempts, ready_stages):
        work.connection.execute(sa.delete(table).where(table.c.job_id.in_(old)))
    gone = sa.delete(jobs).where(jobs.c.tenant_id == tenant_id, jobs.c.finished_at < before)
    return work.connection.execute(gone).rowcount


def _seconds(begin: Any, end: datetime) -> float:  # noqa: ANN401 - a row of SQLAlchemy
    return max((end - begin).total_seconds(), 0.0)
