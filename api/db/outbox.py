"""Commands that were decided in a transaction and leave after it."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.tables import outbox
from api.db.unit_of_work import UnitOfWork
from api.jobs.plan import QueueClass
from shared.contracts.command import COMMAND, CancelStage, RunStage


class Letter(NamedTuple):
    """A command waiting to be sent."""

    letter_id: int
    command: RunStage | CancelStage
    queue_class: QueueClass
    """Which of the service's queues a ``RunStage`` goes to."""


def post(
    work: UnitOfWork,
    tenant_id: str,
    command: RunStage | CancelStage,
    kind: QueueClass,
    now: datetime,
) -> None:
    """Leave a command to be sent once this transaction is committed."""
    payload = {"command": command.model_dump(mode="json"), "queue_class": kind.value}
    row = {"tenant_id": tenant_id, "topic": command.type, "payload": payload, "created_at": now}
    work.connection.execute(sa.insert(outbox).values(row))


def take_letters(work: UnitOfWork, limit: int) -> list[Letter]:
    """The oldest letters, held against other gateways until the transaction ends."""
    query = sa.select(outbox.c.id, outbox.c.payload).where(work.owned(outbox))
    query = query.order_by(outbox.c.id).limit(limit)
    if work.is_postgresql:
        query = query.with_for_update(skip_locked=True)
    return [_letter(letter_id, payload) for letter_id, payload in work.connection.execute(query)]


def forget_letters(work: UnitOfWork, letter_ids: list[int]) -> None:
    """Remove letters whose arrival the broker has confirmed."""
    statement = sa.delete(outbox).where(outbox.c.id.in_(letter_ids), work.owned(outbox))
    work.connection.execute(statement)


def forget_all(work: UnitOfWork) -> None:
    """Remove all letters, where no worker is left that they could reach."""
    work.connection.execute(sa.delete(outbox).where(work.owned(outbox)))


def oldest_letter(work: UnitOfWork) -> datetime | None:
    """Since when the oldest letter waits, for telemetry."""
    query = sa.select(sa.func.min(outbox.c.created_at)).where(work.owned(outbox))
    return work.connection.execute(query).scalar()


def _letter(letter_id: int, payload: dict[str, Any]) -> Letter:
    command = COMMAND.validate_python(payload["command"])
    return Letter(letter_id, command, QueueClass(payload["queue_class"]))
