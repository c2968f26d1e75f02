"""What tenants use: jobs open now, bytes stored now, compute per month; and the quotas' checks."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from api.db.statements import upsert
from api.db.tables import tenant_usage, tenants, usage
from api.db.tenants import month_of
from api.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput


class Using(NamedTuple):
    """What a tenant uses now."""

    n_open_jobs: int
    stored_bytes: int
    compute_seconds: float
    """This calendar month, UTC."""


def read_using(work: UnitOfWork, tenant_id: str, now: datetime) -> Using:
    """What a tenant uses now."""
    columns = (tenant_usage.c.n_open_jobs, tenant_usage.c.stored_bytes, _spent(tenant_id, now))
    query = sa.select(*columns).where(
        tenant_usage.c.tenant_id == tenant_id, work.owned(tenant_usage)
    )
    return Using(*work.connection.execute(query).one())


def take_job_place(
    work: UnitOfWork, tenant_id: str, now: datetime, *, is_free: bool = False
) -> None:
    """Count one more open job, where all quotas allow it; the last statement before the commit.

    One statement, whose row lock lets no race pass a quota. ``is_free`` is work that neither needs
    room nor counts as compute.

    Raises:
        InvalidInput: ``quota_open_jobs``; ``quota_compute_seconds``; ``quota_stored_bytes``.
    """
    own = tenants.c.id == tenant_id
    allowed = [
        tenant_usage.c.n_open_jobs < sa.select(tenants.c.max_open_jobs).where(own).scalar_subquery()
    ]
    if not is_free:
        room = sa.select(tenants.c.max_stored_bytes).where(own).scalar_subquery()
        compute = sa.select(tenants.c.max_compute_seconds).where(own).scalar_subquery()
        allowed += [tenant_usage.c.stored_bytes < room, _spent(tenant_id, now) < compute]
    statement = (
        sa.update(tenant_usage)
        .where(tenant_usage.c.tenant_id == tenant_id, work.owned(tenant_usage), *allowed)
        .values(n_open_jobs=tenant_usage.c.n_open_jobs + 1)
    )
    if not work.connection.execute(statement).rowcount:
        raise _exhausted(work, tenant_id, now)


def _exhausted(work: UnitOfWork, tenant_id: str, now: datetime) -> InvalidInput:
    """Which quota is used up."""
    query = sa.select(tenants.c.max_compute_seconds, tenants.c.max_stored_bytes)
    query = query.where(tenants.c.id == tenant_id, work.owned(tenants))
    allowed = work.connection.execute(query).one()
    using = read_using(work, tenant_id, now)
    if using.compute_seconds >= allowed.max_compute_seconds:
        return InvalidInput(
            "quota_compute_seconds",
            f"{using.compute_seconds:.0f} s of compute were used this month, "
            f"{allowed.max_compute_seconds:.0f} s are allowed; wait for the next month or ask the "
            "operator for more",
        )
    if using.stored_bytes >= allowed.max_stored_bytes:
        return InvalidInput(
            "quota_stored_bytes",
            f"{using.stored_bytes} bytes are stored, {allowed.max_stored_bytes} are allowed; "
            "delete what you no longer need",
        )
    return InvalidInput(
        "quota_open_jobs",
        f"{using.n_open_jobs} jobs are queued or under way, as many as your quota allows; wait for "
        "one to end or cancel one",
    )


def take_bytes(work: UnitOfWork, tenant_id: str, n_bytes: int) -> None:
    """Count bytes that the tenant is about to send.

    Raises:
        InvalidInput: ``quota_stored_bytes`` when they would not fit.
    """
    allowed = (
        sa.select(tenants.c.max_stored_bytes).where(tenants.c.id == tenant_id).scalar_subquery()
    )
    more = tenant_usage.c.stored_bytes + n_bytes
    statement = (
        sa.update(tenant_usage)
        .where(tenant_usage.c.tenant_id == tenant_id, more <= allowed)
        .values(stored_bytes=more)
    )
    if work.connection.execute(statement.where(work.owned(tenant_usage))).rowcount:
        return
    raise InvalidInput(
        "quota_stored_bytes",
        f"there is no room for {n_bytes} more bytes within your quota; delete what you no longer "
        "need",
    )


def add_bytes(work: UnitOfWork, tenant_id: str, n_bytes: int) -> None:
    """Count bytes that a stage has stored, or with a minus that were removed."""
    _add(work, tenant_id, {"stored_bytes": tenant_usage.c.stored_bytes + n_bytes})


def leave_job_place(work: UnitOfWork, tenant_id: str) -> None:
    """Count a job that has ended."""
    _add(work, tenant_id, {"n_open_jobs": tenant_usage.c.n_open_jobs - 1})


def add_compute(
    work: UnitOfWork, tenant_id: str, service: str, seconds: float, now: datetime
) -> None:
    """Charge one stage to the month in which it ended."""
    row = {
        "tenant_id": tenant_id,
        "month": month_of(now),
        "service": service,
        "compute_seconds": seconds,
        "n_stages": 1,
    }
    changes = {
        "compute_seconds": usage.c.compute_seconds + seconds,
        "n_stages": usage.c.n_stages + 1,
    }
    upsert(work, usage, [row], changes)


def _spent(tenant_id: str, now: datetime) -> sa.ScalarSelect[float]:
    """Compute seconds of a tenant's present month."""
    return (
        sa.select(sa.func.coalesce(sa.func.sum(usage.c.compute_seconds), 0.0))
        .where(usage.c.tenant_id == tenant_id, usage.c.month == month_of(now))
        .scalar_subquery()
    )


def _add(work: UnitOfWork, tenant_id: str, changes: dict[str, sa.ColumnElement[int]]) -> None:
    work.connection.execute(
        sa.update(tenant_usage)
        .where(tenant_usage.c.tenant_id == tenant_id, work.owned(tenant_usage))
        .values(changes)
    )
