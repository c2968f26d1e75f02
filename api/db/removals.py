"""Receipts of deletions, and what is still to be removed from the store.

A removal names a prefix with a closing slash, or one object. It stays until the store has said that
everything is gone, so a collector that is killed goes on where it was.
"""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from api.db import usage
from api.db.records import Deletion
from api.db.tables import deletions, removals
from api.db.unit_of_work import UnitOfWork


class Removal(NamedTuple):
    """Something to be removed from the store."""

    removal_id: int
    tenant_id: str
    deletion_id: str | None
    prefix: str
    counted_bytes: int
    """Bytes that the tenant's account holds for it."""


def add_deletion(work: UnitOfWork, deletion: Deletion) -> None:
    """Store a new receipt."""
    work.connection.execute(
        sa.insert(deletions).values(
            id=deletion.deletion_id,
            tenant_id=deletion.tenant_id,
            subject_kind=deletion.subject_kind,
            subject_id=deletion.subject_id,
            reason=deletion.reason,
            removed=list(deletion.removed),
            created_at=deletion.created_at,
        )
    )


def add_removal(
    work: UnitOfWork,
    tenant_id: str,
    prefix: str,
    not_before: datetime,
    *,
    counted_bytes: int = 0,
    deletion_id: str | None = None,
    job_id: str | None = None,
) -> None:
    """Have a prefix or an object removed."""
    row = {
        "tenant_id": tenant_id,
        "prefix": prefix,
        "not_before": not_before,
        "counted_bytes": counted_bytes,
        "deletion_id": deletion_id,
        "job_id": job_id,
    }
    work.connection.execute(sa.insert(removals).values(row))


def put_on_receipt(work: UnitOfWork, job_id: str, deletion_id: str, now: datetime) -> None:
    """Count what a canceled job's due removals will take away on the receipt of its deletion."""
    due = sa.and_(
        removals.c.job_id == job_id, removals.c.deletion_id.is_(None), removals.c.not_before <= now
    )
    statement = sa.update(removals).where(due, work.owned(removals))
    work.connection.execute(statement.values(deletion_id=deletion_id))


def revoke_removals(work: UnitOfWork, prefix: str) -> None:
    """Keep what was to be removed later, as a retry needs it."""
    statement = sa.delete(removals).where(removals.c.prefix == prefix, work.owned(removals))
    work.connection.execute(statement)


def take_removals(work: UnitOfWork, now: datetime, limit: int) -> list[Removal]:
    """Due removals, held against other gateways until the transaction ends."""
    query = (
        sa.select(*(removals.c[_COLUMN.get(name, name)] for name in Removal._fields))
        .where(removals.c.not_before <= now, work.owned(removals))
        .order_by(removals.c.not_before)
        .limit(limit)
    )
    if work.is_postgresql:
        query = query.with_for_update(skip_locked=True)
    return [Removal(*row) for row in work.connection.execute(query)]


def has_due(work: UnitOfWork, now: datetime) -> bool:
    """Whether there is anything to remove."""
    query = sa.select(sa.literal(1)).where(removals.c.not_before <= now, work.owned(removals))
    return work.connection.execute(query.limit(1)).first() is not None


def postpone(work: UnitOfWork, claimed: list[Removal], until: datetime) -> None:
    """Keep others from removals that are being carried out."""
    ids = [removal.removal_id for removal in claimed]
    statement = sa.update(removals).where(removals.c.id.in_(ids), work.owned(removals))
    work.connection.execute(statement.values(not_before=until))


def finish_removal(
    work: UnitOfWork, removal: Removal, n_objects: int, n_bytes: int, now: datetime
) -> None:
    """Note that the store has removed it: in the tenant's account and on the receipt."""
    done = sa.delete(removals).where(removals.c.id == removal.removal_id, work.owned(removals))
    if not work.connection.execute(done).rowcount:
        return
    if removal.counted_bytes:
        usage.add_bytes(work, removal.tenant_id, -removal.counted_bytes)
    if removal.deletion_id is None:
        return
    of_receipt = removals.c.deletion_id == removal.deletion_id
    is_last = ~sa.exists(sa.select(sa.literal(1)).where(of_receipt))
    work.connection.execute(
        sa.update(deletions)
        .where(deletions.c.id == removal.deletion_id, work.owned(deletions))
        .values(
            n_objects=deletions.c.n_objects + n_objects,
            n_bytes=deletions.c.n_bytes + n_bytes,
            finished_at=sa.case((is_last, sa.literal(now, deletions.c.finished_at.type))),
        )
    )


_COLUMN = {"removal_id": "id"}
