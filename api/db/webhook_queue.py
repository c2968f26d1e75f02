"""Which delivery goes out next, and what became of it. Several gateways may ask at once.

A sender holds a webhook, not a delivery: its messages go out one after another, so that a receiver
that is slow or dead costs one sender, and webhooks take turns.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from api.db.tables import webhook_deliveries, webhooks
from api.db.unit_of_work import UnitOfWork
from api.db.webhooks import Delivery, DeliveryStatus, Secrets, Try, delivery_of

HOLD = timedelta(seconds=60)
"""Longer than any attempt; after it a sender that died is forgotten."""
MAX_HELD_PER_TENANT = 2
"""Senders that one tenant's slow receivers can keep busy."""


class Claim(NamedTuple):
    """A delivery that is ours to attempt."""

    delivery: Delivery
    """``n_tries`` counts the attempt that is about to be made."""
    url: str
    secrets: Secrets


class Outcome(NamedTuple):
    """What to write down after an attempt."""

    status: DeliveryStatus
    tried: Try
    next_try_at: datetime | None
    rest_until: datetime | None
    """The webhook is left alone until then; None frees it at once."""


def has_due(work: UnitOfWork, now: datetime) -> bool:
    """Whether there is anything to claim; takes no lock, so that looking disturbs nobody."""
    return work.connection.execute(_next_webhook(now)).first() is not None


def claim_delivery(work: UnitOfWork, now: datetime) -> Claim | None:
    """Hold the webhook whose turn it is, and count the attempt; None when nothing is due."""
    locked = _next_webhook(now).with_for_update(skip_locked=True, of=webhooks)
    webhook = work.connection.execute(locked).mappings().first()
    if webhook is None:
        return None
    due = (
        sa.select(webhook_deliveries)
        .where(_is_due(now), webhook_deliveries.c.webhook_id == webhook["id"])
        .order_by(webhook_deliveries.c.next_try_at, webhook_deliveries.c.id)
        .limit(1)
    )
    row = work.connection.execute(due).mappings().first()
    if row is None:  # delivered by another gateway between the two queries
        return None
    work.connection.execute(
        sa.update(webhooks)
        .where(webhooks.c.id == webhook["id"])
        .values(claimed_at=now, claimed_until=now + HOLD)
    )
    counted = {**row, "n_tries": row["n_tries"] + 1}
    work.connection.execute(
        sa.update(webhook_deliveries)
        .where(webhook_deliveries.c.id == row["id"])
        .values(n_tries=counted["n_tries"])
    )
    secrets = Secrets(
        webhook["secret"], webhook["previous_secret"], webhook["previous_secret_until"]
    )
    return Claim(delivery_of(counted), webhook["url"], secrets)


def record_outcome(work: UnitOfWork, delivery: Delivery, outcome: Outcome, now: datetime) -> bool:
    """Write an attempt down; False, and nothing changed, where a later attempt has begun."""
    table = webhook_deliveries
    ours = sa.and_(
        table.c.id == delivery.delivery_id,
        table.c.n_tries == delivery.n_tries,
        table.c.status == DeliveryStatus.pending.value,
    )
    tries = [_entry(one) for one in (*delivery.tries, outcome.tried)]
    is_over = outcome.status is not DeliveryStatus.pending
    changed = work.connection.execute(
        sa.update(table)
        .where(ours)
        .values(
            status=outcome.status.value,
            tries=tries,
            next_try_at=outcome.next_try_at,
            finished_at=now if is_over else None,
        )
    )
    if not changed.rowcount:
        return False
    work.connection.execute(
        sa.update(webhooks)
        .where(webhooks.c.id == delivery.webhook_id)
        .values(claimed_until=outcome.rest_until)
    )
    return True


def disable_webhook(work: UnitOfWork, webhook_id: str, reason: str, now: datetime) -> bool:
    """Send nothing more to a webhook, not even what waits; False if it was disabled before."""
    changed = work.connection.execute(
        sa.update(webhooks)
        .where(webhooks.c.id == webhook_id, webhooks.c.disabled_at.is_(None))
        .values(disabled_at=now, disabled_reason=reason)
    )
    if not changed.rowcount:
        return False
    work.connection.execute(
        sa.update(webhook_deliveries)
        .where(
            webhook_deliveries.c.webhook_id == webhook_id,
            webhook_deliveries.c.next_try_at.is_not(None),
        )
        .values(status=DeliveryStatus.canceled.value, next_try_at=None, finished_at=now)
    )
    return True


def has_delivered_since(work: UnitOfWork, webhook_id: str, since: datetime) -> bool:
    """Whether anything got through to a webhook lately."""
    table = webhook_deliveries
    found = sa.select(table.c.id).where(
        table.c.webhook_id == webhook_id,
        table.c.status == DeliveryStatus.delivered.value,
        table.c.finished_at >= since,
    )
    return work.connection.execute(found.limit(1)).first() is not None


def remove_old_deliveries(work: UnitOfWork, before: datetime, limit: int = 1_000) -> int:
    """Drop up to ``limit`` finished deliveries created before a moment; returns how many."""
    table = webhook_deliveries
    old = sa.select(table.c.id).where(table.c.created_at < before, table.c.finished_at.is_not(None))
    removed = work.connection.execute(sa.delete(table).where(table.c.id.in_(old.limit(limit))))
    return removed.rowcount


def _next_webhook(now: datetime) -> sa.Select[tuple[object, ...]]:
    """The free webhook with something due whose last turn is longest ago."""
    held = webhooks.alias("held")
    busy = (
        sa.select(held.c.tenant_id)
        .where(held.c.claimed_until > now, held.c.claimed_until <= now + HOLD)
        .group_by(held.c.tenant_id)
        .having(sa.func.count() >= MAX_HELD_PER_TENANT)
    )
    due = sa.exists().where(webhook_deliveries.c.webhook_id == webhooks.c.id, _is_due(now))
    return (
        sa.select(webhooks)
        .where(
            webhooks.c.disabled_at.is_(None),
            sa.or_(webhooks.c.claimed_until.is_(None), webhooks.c.claimed_until <= now),
            webhooks.c.tenant_id.not_in(busy),
            due,
        )
        .order_by(webhooks.c.claimed_at.nulls_first(), webhooks.c.id)
        .limit(1)
    )


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return webhook_deliveries.c.next_try_at <= now


def _entry(one: Try) -> dict[str, object]:
    return {
        "at": one.at.isoformat(),
        "status": one.status,
        "error": one.error,
        "seconds": round(one.seconds, 3),
        "body": one.body,
    }
