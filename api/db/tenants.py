"""Tenants, their quotas and what they have used."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.listings import is_after
from api.db.records import Cut, Quotas, Tenant
from api.db.tables import tenant_usage, tenants, usage
from api.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput


class ServiceUsage(NamedTuple):
    """Compute of one month in one service."""

    month: str
    """``2026-11``, UTC."""
    service: str
    compute_seconds: float
    n_stages: int


class Standing(NamedTuple):
    """What is compared with the quotas."""

    n_open_jobs: int
    stored_bytes: int


def add_tenant(work: UnitOfWork, tenant: Tenant) -> None:
    """Store a new tenant; needs the engine's transaction.

    Raises:
        InvalidInput: ``tenant_exists`` there is one of that name.
    """
    same_name = sa.select(tenants.c.id).where(tenants.c.name == tenant.name)
    if work.connection.execute(same_name).first():
        raise InvalidInput("tenant_exists", f"there is a tenant named {tenant.name!r} already")
    work.connection.execute(
        sa.insert(tenants).values(
            id=tenant.tenant_id,
            name=tenant.name,
            weight=tenant.weight,
            created_at=tenant.created_at,
            **asdict(tenant.quotas),
        )
    )
    work.connection.execute(sa.insert(tenant_usage).values(tenant_id=tenant.tenant_id))


def find_tenant(work: UnitOfWork, tenant_id: str) -> Tenant | None:
    """A tenant that this transaction may see."""
    row = work.connection.execute(
        sa.select(tenants).where(work.owned(tenants), tenants.c.id == tenant_id)
    ).one_or_none()
    return _tenant(row) if row else None


def find_tenant_named(work: UnitOfWork, name: str) -> Tenant | None:
    """The tenant of that name, which no other has."""
    row = work.connection.execute(
        sa.select(tenants).where(work.owned(tenants), tenants.c.name == name)
    ).one_or_none()
    return _tenant(row) if row else None


def list_tenants(work: UnitOfWork, after: Cut | None, n_rows: int) -> list[Tenant]:
    """Tenants, newest first."""
    columns = tenants.c
    query = sa.select(tenants).where(work.owned(tenants))
    if after is not None:
        query = query.where(is_after(tenants, after))
    query = query.order_by(columns.created_at.desc(), columns.id.desc()).limit(n_rows)
    return [_tenant(row) for row in work.connection.execute(query)]


def change_tenant(work: UnitOfWork, tenant_id: str, changes: Mapping[str, Any]) -> bool:
    """Set columns of a tenant (name, weight, quotas, ``disabled_at``); False when there is none."""
    changed = work.connection.execute(
        sa.update(tenants).where(work.owned(tenants), tenants.c.id == tenant_id).values(**changes)
    )
    return changed.rowcount == 1


def read_standing(work: UnitOfWork, tenant_id: str) -> Standing:
    """What a tenant holds now."""
    row = work.connection.execute(
        sa.select(tenant_usage).where(
            work.owned(tenant_usage), tenant_usage.c.tenant_id == tenant_id
        )
    ).one_or_none()
    return Standing(row.n_open_jobs, row.stored_bytes) if row else Standing(0, 0)


def list_usage(work: UnitOfWork, tenant_id: str, since_month: str) -> list[ServiceUsage]:
    """Compute by month and service, newest month first."""
    columns = usage.c
    query = (
        sa.select(usage)
        .where(work.owned(usage), columns.tenant_id == tenant_id, columns.month >= since_month)
        .order_by(columns.month.desc(), columns.service)
    )
    return [
        ServiceUsage(row.month, row.service, row.compute_seconds, row.n_stages)
        for row in work.connection.execute(query)
    ]


def month_of(moment: datetime) -> str:
    """Name of a calendar month, UTC."""
    return moment.strftime("%Y-%m")


def _tenant(row: Any) -> Tenant:  # noqa: ANN401 - a row of SQLAlchemy has no type of its own
    return Tenant(
        tenant_id=row.id,
        name=row.name,
        weight=row.weight,
        quotas=Quotas(
            max_running_jobs=row.max_running_jobs,
            max_open_jobs=row.max_open_jobs,
            max_stored_bytes=row.max_stored_bytes,
            max_compute_seconds=row.max_compute_seconds,
        ),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
