"""Removes what nobody needs any more: objects of deletions and dead attempts, uploads, old rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.db import attempts, job_events, removals, resources, workers
from api.db.records import UploadStatus
from api.db.removals import Removal
from api.db.session import engine_work
from api.db.tables import idempotency_keys
from api.db.webhook_queue import remove_old_deliveries


@dataclass(frozen=True, kw_only=True)
class Ages:
    """How old things become before they are removed; uploads carry their own end."""

    idempotency_keys: timedelta = timedelta(hours=24)
    job_events: timedelta = timedelta(days=30)
    attempts: timedelta = timedelta(days=7)
    workers: timedelta = timedelta(days=1)
    webhook_deliveries: timedelta = timedelta(days=30)


class Removed(NamedTuple):
    """What a store took away."""

    n_objects: int
    n_bytes: int


class RemovingStore(Protocol):
    """The part of a store that is needed here; methods raise ``Unavailable``."""

    def delete_prefix(self, prefix: str) -> tuple[int, int]:
        """Remove everything below a prefix; how many objects and bytes that was."""

    def delete(self, key: str) -> None:
        """Remove an object."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""


CLAIMED_FOR = timedelta(minutes=10)
"""A removal whose collector was killed is taken up again after so long."""
_AT_ONCE = 10


def remove_objects(database: Engine, store: RemovingStore, now: datetime) -> int:
    """Carry out some due removals; returns how many were finished.

    The store is asked outside any transaction, as a folder of thousands of objects takes its time.

    Raises:
        Unavailable: database or store do not answer; the rest is taken up again later.
    """
    with engine_work(database, is_read_only=True) as work:
        if not removals.has_due(work, now):
            return 0
    with engine_work(database) as work:
        due = removals.take_removals(work, now, _AT_ONCE)
        removals.postpone(work, due, now + CLAIMED_FOR)
    for removal in due:
        gone = _remove(store, removal)
        with engine_work(database) as work:
            removals.finish_removal(work, removal, gone.n_objects, gone.n_bytes, now)
    return len(due)


def expire_uploads(database: Engine, now: datetime) -> int:
    """Give up uploads that were never completed; what has arrived of them is removed.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(database) as work:
        late = resources.expired_uploads(work, now, 100)
        for upload in late:
            changes = {"status": UploadStatus.expired.value}
            resources.change_upload(work, upload.upload_id, changes)
            removals.add_removal(
                work, upload.tenant_id, upload.key, now, counted_bytes=upload.n_bytes
            )
    return len(late)


def forget_old_rows(database: Engine, now: datetime, ages: Ages) -> int:
    """Remove rows that have passed their age; returns how many.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(database) as work:
        old_keys = sa.delete(idempotency_keys).where(
            idempotency_keys.c.created_at < now - ages.idempotency_keys,
            idempotency_keys.c.locked_until < now,
            work.owned(idempotency_keys),
        )
        return (
            work.connection.execute(old_keys).rowcount
            + job_events.forget_before(work, now - ages.job_events)
            + attempts.forget_closed(work, now - ages.attempts)
            + workers.forget_workers(work, now - ages.workers)
            + remove_old_deliveries(work, now - ages.webhook_deliveries)
        )


def _remove(store: RemovingStore, removal: Removal) -> Removed:
    if removal.prefix.endswith("/"):
        return Removed(*store.delete_prefix(removal.prefix))
    was_there = store.exists(removal.prefix)
    store.delete(removal.prefix)
    return Removed(int(was_there), removal.counted_bytes if was_there else 0)
