"""Rows of webhooks and of their deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.records import Cut
from api.db.tables import webhook_deliveries, webhooks
from api.db.unit_of_work import UnitOfWork


class DeliveryStatus(StrEnum):
    """Life of a delivery."""

    pending = "pending"
    """Waits for its first or next attempt."""
    delivered = "delivered"
    failed = "failed"
    """All attempts failed."""
    canceled = "canceled"
    """The webhook was disabled before."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where a tenant wants to be told of events; secrets are kept apart."""

    webhook_id: str
    tenant_id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    previous_secret_until: datetime | None
    """Until then messages are signed with the secret before the last rotation too."""
    disabled_at: datetime | None
    disabled_reason: str | None
    """``gone`` the receiver answered 410; ``failing`` nothing got through for three days."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt to deliver, as the log shows it."""

    at: datetime
    status: int | None
    """HTTP status of the answer."""
    error: str | None
    """Why there was no answer."""
    seconds: float
    body: str
    """Beginning of the answer."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one webhook."""

    delivery_id: str
    tenant_id: str
    webhook_id: str
    message_id: str
    """The ``webhook-id`` header: equal in retries and replays."""
    type: str
    payload: Mapping[str, Any]
    traceparent: str | None
    status: DeliveryStatus
    n_tries: int
    tries: tuple[Try, ...]
    next_try_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class Secrets(NamedTuple):
    """What a webhook's messages are signed with."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def live(self, now: datetime) -> list[str]:
        """The current one, and while it lasts the one before."""
        is_live = self.previous and self.previous_until and self.previous_until > now
        return [self.current, self.previous] if is_live and self.previous else [self.current]


def insert_webhook(work: UnitOfWork, webhook: Webhook, secret: str) -> None:
    """Store a new webhook."""
    row = {
        "id": webhook.webhook_id,
        "tenant_id": webhook.tenant_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "secret": secret,
        "created_at": webhook.created_at,
    }
    work.connection.execute(sa.insert(webhooks).values(row))


def find_webhook(work: UnitOfWork, webhook_id: str, *, is_locked: bool = False) -> Webhook | None:
    """The tenant's webhook of that id; locked until the transaction ends if asked for."""
    query = sa.select(webhooks).where(work.owned(webhooks), webhooks.c.id == webhook_id)
    row = (
        work.connection.execute(query.with_for_update() if is_locked else query).mappings().first()
    )
    return _webhook(row) if row else None


def list_webhooks(
    work: UnitOfWork, *, limit: int | None = None, after: Cut | None = None
) -> list[Webhook]:
    """A page of the tenant's webhooks, newest first."""
    query = sa.select(webhooks).where(work.owned(webhooks), _is_after(webhooks, after))
    query = query.order_by(webhooks.c.created_at.desc(), webhooks.c.id.desc()).limit(limit)
    return [_webhook(row) for row in work.connection.execute(query).mappings()]


def listening_webhooks(work: UnitOfWork, tenant_id: str) -> list[Webhook]:
    """A tenant's webhooks that are not disabled."""
    query = sa.select(webhooks).where(
        webhooks.c.tenant_id == tenant_id, webhooks.c.disabled_at.is_(None)
    )
    return [_webhook(row) for row in work.connection.execute(query).mappings()]


def read_secrets(work: UnitOfWork, webhook_id: str) -> Secrets:
    """Secrets of a webhook that exists."""
    query = sa.select(
        webhooks.c.secret, webhooks.c.previous_secret, webhooks.c.previous_secret_until
    ).where(work.owned(webhooks), webhooks.c.id == webhook_id)
    return Secrets(*work.connection.execute(query).one())


def update_webhook(work: UnitOfWork, webhook_id: str, **changes: Any) -> None:  # noqa: ANN401
    """Change columns of a webhook."""
    change = sa.update(webhooks).where(work.owned(webhooks), webhooks.c.id == webhook_id)
    work.connection.execute(change.values(changes))


def delete_webhook(work: UnitOfWork, webhook_id: str) -> bool:
    """Remove a webhook with its deliveries; False where there is none."""
    owned = webhook_deliveries.c.webhook_id == webhook_id
    work.connection.execute(
        sa.delete(webhook_deliveries).where(work.owned(webhook_deliveries), owned)
    )
    removed = work.connection.execute(
        sa.delete(webhooks).where(work.owned(webhooks), webhooks.c.id == webhook_id)
    )
    return removed.rowcount > 0


def insert_deliveries(work: UnitOfWork, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries."""
    rows: list[dict[str, Any]] = [
        {
            "id": one.delivery_id,
            "tenant_id": one.tenant_id,
            "webhook_id": one.webhook_id,
            "message_id": one.message_id,
            "type": one.type,
            "payload": dict(one.payload),
            "traceparent": one.traceparent,
            "status": one.status.value,
            "n_tries": 0,
            "tries": [],
            "next_try_at": one.next_try_at,
            "created_at": one.created_at,
        }
        for one in deliveries
    ]
    if rows:
        work.connection.execute(sa.insert(webhook_deliveries), rows)


def find_delivery(work: UnitOfWork, webhook_id: str, delivery_id: str) -> Delivery | None:
    """The tenant's delivery of that id to that webhook."""
    query = sa.select(webhook_deliveries).where(
        work.owned(webhook_deliveries),
        webhook_deliveries.c.webhook_id == webhook_id,
        webhook_deliveries.c.id == delivery_id,
    )
    row = work.connection.execute(query).mappings().first()
    return delivery_of(row) if row else None


def list_deliveries(
    work: UnitOfWork, webhook_id: str, *, limit: int, after: Cut | None = None
) -> list[Delivery]:
    """A page of a webhook's deliveries, newest first."""
    table = webhook_deliveries
    query = sa.select(table).where(
        work.owned(table), table.c.webhook_id == webhook_id, _is_after(table, after)
    )
    query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
    return [delivery_of(row) for row in work.connection.execute(query).mappings()]


def delivery_of(row: Mapping[Any, Any]) -> Delivery:
    """A row of ``webhook_deliveries`` as a value."""
    return Delivery(
        delivery_id=row["id"],
        tenant_id=row["tenant_id"],
        webhook_id=row["webhook_id"],
        message_id=row["message_id"],
        type=row["type"],
        payload=row["payload"],
        traceparent=row["traceparent"],
        status=DeliveryStatus(row["status"]),
        n_tries=row["n_tries"],
        tries=tuple(
            Try(**{**entry, "at": datetime.fromisoformat(entry["at"])}) for entry in row["tries"]
        ),
        next_try_at=row["next_try_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def _webhook(row: Mapping[Any, Any]) -> Webhook:
    return Webhook(
        webhook_id=row["id"],
        tenant_id=row["tenant_id"],
        url=row["url"],
        events=tuple(row["events"]),
        created_at=row["created_at"],
        previous_secret_until=row["previous_secret_until"],
        disabled_at=row["disabled_at"],
        disabled_reason=row["disabled_reason"],
    )


def _is_after(table: sa.Table, cut: Cut | None) -> sa.ColumnElement[bool]:
    if cut is None:
        return sa.true()
    is_same_time = sa.and_(table.c.created_at == cut.created_at, table.c.id < cut.row_id)
    return sa.or_(table.c.created_at < cut.created_at, is_same_time)
