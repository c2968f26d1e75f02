"""Workers that have reported of late."""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from api.db.statements import upsert
from api.db.tables import workers
from api.db.unit_of_work import UnitOfWork
from shared.contracts.event import WorkerSeen

LIVES_FOR = timedelta(seconds=16)
"""Three reports may be missed."""


class LiveWorkers(NamedTuple):
    """What the living workers of a service can do."""

    n_workers: int
    n_slots: int
    n_busy: int


def note_worker(work: UnitOfWork, seen: WorkerSeen, now: datetime) -> None:
    """Remember a report, unless a newer one of the same worker came before."""
    row = {
        "id": seen.worker_id,
        "service": seen.service,
        "slots": seen.slots,
        "busy": seen.busy,
        "seen_at": now,
        "reported_at": seen.occurred_at,
    }
    if upsert(work, workers, [row]):
        return
    is_newer = workers.c.reported_at < seen.occurred_at
    statement = sa.update(workers).where(workers.c.id == seen.worker_id, is_newer)
    work.connection.execute(statement.values(row))


def live_workers(work: UnitOfWork, now: datetime) -> dict[str, LiveWorkers]:
    """Living workers by service; those that said good-bye have no slots."""
    query = (
        sa.select(
            workers.c.service,
            sa.func.count(),
            sa.func.sum(workers.c.slots),
            sa.func.sum(workers.c.busy),
        )
        .where(workers.c.seen_at > now - LIVES_FOR, workers.c.slots > 0)
        .group_by(workers.c.service)
    )
    return {
        service: LiveWorkers(n, int(slots), int(busy))
        for service, n, slots, busy in work.connection.execute(query)
    }


def forget_workers(work: UnitOfWork, before: datetime) -> int:
    """Remove workers that were not seen since."""
    return work.connection.execute(sa.delete(workers).where(workers.c.seen_at < before)).rowcount
