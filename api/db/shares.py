"""Virtual times of the fair order, and the lock that lets one gateway dispatch at a time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from api.db.statements import upsert
from api.db.tables import clocks, shares, tenants
from api.db.unit_of_work import UnitOfWork

_DISPATCH_LOCK = 0x7A1C_0001


class Share(NamedTuple):
    """A tenant's place in the order of one service."""

    virtual_time: float
    weight: float
    max_running_jobs: int


def hold_dispatch(work: UnitOfWork) -> bool:
    """Whether this transaction may dispatch; false while another gateway does."""
    if not work.is_postgresql:
        return True  # SQLite has one writer
    query = sa.select(sa.func.pg_try_advisory_xact_lock(_DISPATCH_LOCK))
    return bool(work.connection.execute(query).scalar_one())


def read_shares(work: UnitOfWork, service: str, tenant_ids: Sequence[str]) -> dict[str, Share]:
    """The shares of tenants that wait for a service; a disabled tenant has none."""
    at_service = (shares.c.tenant_id == tenants.c.id) & (shares.c.service == service)
    query = (
        sa.select(
            tenants.c.id,
            sa.func.coalesce(shares.c.virtual_time, 0.0),
            tenants.c.weight,
            tenants.c.max_running_jobs,
        )
        .select_from(tenants.outerjoin(shares, at_service))
        .where(tenants.c.id.in_(tenant_ids), tenants.c.disabled_at.is_(None), work.owned(tenants))
    )
    return {name: Share(*row) for name, *row in work.connection.execute(query)}


def read_clock(work: UnitOfWork, service: str) -> float:
    """Virtual time of a service."""
    query = sa.select(clocks.c.virtual_time).where(clocks.c.service == service)
    return work.connection.execute(query).scalar() or 0.0


def write_shares(
    work: UnitOfWork, service: str, clock: float, virtual_times: Mapping[str, float]
) -> None:
    """Remember where the tenants and the service have come to."""
    upsert(work, clocks, [{"service": service, "virtual_time": clock}], {"virtual_time": clock})
    for tenant_id, time in sorted(virtual_times.items()):
        row = {"service": service, "tenant_id": tenant_id, "virtual_time": time}
        upsert(work, shares, [row], {"virtual_time": time})
