"""What tenants can do with their webhooks; called by routes, inside a transaction of theirs."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from api.db import webhooks as rows
from api.db.records import Cut
from api.db.unit_of_work import UnitOfWork
from api.db.webhooks import Delivery, Webhook
from api.ids import check_id, missing
from api.webhooks.address import AddressRules, parse_target
from api.webhooks.events import (
    DEFAULT_EVENT_TYPES,
    EVENT_TYPES,
    TEST_EVENT,
    make_payload,
    new_delivery,
)
from api.webhooks.sealing import UNSEALED, SecretBox
from api.webhooks.signing import generate_secret
from shared.errors import InvalidInput

MAX_WEBHOOKS = 10
"""Per tenant."""
OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation signs too, unless said otherwise."""
MAX_OVERLAP = timedelta(days=7)

NewId = Callable[[str], str]


class NewWebhook(NamedTuple):
    """What a tenant says of a webhook."""

    url: str
    events: Sequence[str] = DEFAULT_EVENT_TYPES


def create_webhook(
    work: UnitOfWork,
    webhook: NewWebhook,
    rules: AddressRules,
    *,
    now: datetime,
    new_id: NewId,
    random_bytes: Callable[[int], bytes],
    box: SecretBox = UNSEALED,
) -> tuple[Webhook, str]:
    """Register a webhook; returns it and its secret, which is not shown again.

    Raises:
        InvalidInput: ``bad_webhook_url``; ``unknown_event_type``; ``too_many_webhooks``.
    """
    parse_target(webhook.url, rules)
    unknown = sorted(set(webhook.events) - set(EVENT_TYPES))
    if unknown or not webhook.events:
        raise InvalidInput(
            "unknown_event_type",
            f"events {unknown or 'are missing'}; choose among {', '.join(EVENT_TYPES)}",
        )
    if len(rows.list_webhooks(work, limit=MAX_WEBHOOKS)) >= MAX_WEBHOOKS:
        raise InvalidInput(
            "too_many_webhooks", f"there are {MAX_WEBHOOKS} webhooks already; delete one first"
        )
    secret = generate_secret(random_bytes)
    created = Webhook(
        webhook_id=new_id("whk"),
        tenant_id=work.tenant(),
        url=webhook.url,
        events=tuple(dict.fromkeys(webhook.events)),
        created_at=now,
        previous_secret_until=None,
        disabled_at=None,
        disabled_reason=None,
    )
    rows.insert_webhook(work, created, box.seal(secret, created.webhook_id))
    return created, secret


def list_webhooks(work: UnitOfWork, *, limit: int, after: Cut | None = None) -> list[Webhook]:
    """A page of webhooks, newest first."""
    return rows.list_webhooks(work, limit=limit, after=after)


def read_webhook(work: UnitOfWork, webhook_id: str) -> Webhook:
    """One webhook.

    Raises:
        InvalidInput: ``not_found``.
    """
    return _existing(work, webhook_id)


def delete_webhook(work: UnitOfWork, webhook_id: str) -> None:
    """Remove a webhook and its log; an attempt under way may still arrive.

    Raises:
        InvalidInput: ``not_found``.
    """
    if not rows.delete_webhook(work, check_id("whk", webhook_id)):
        raise missing("whk", webhook_id)


def rotate_secret(
    work: UnitOfWork,
    webhook_id: str,
    *,
    now: datetime,
    random_bytes: Callable[[int], bytes],
    overlap: timedelta = OVERLAP,
    box: SecretBox = UNSEALED,
) -> tuple[Webhook, str]:
    """Give a webhook a new secret; returns it and the secret, which is not shown again.

    For ``overlap`` messages carry signatures of the new and of the last secret. An older one dies.

    Raises:
        InvalidInput: ``not_found``; ``bad_overlap`` unless it is within 0 and a week.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise InvalidInput(
            "bad_overlap", f"the overlap is {overlap}; choose between 0 and {MAX_OVERLAP}"
        )
    _existing(work, webhook_id, is_locked=True)
    secret = generate_secret(random_bytes)
    is_kept = overlap > timedelta(0)
    rows.update_webhook(
        work,
        webhook_id,
        secret=box.seal(secret, webhook_id),
        previous_secret=rows.read_secrets(work, webhook_id).current if is_kept else None,
        previous_secret_until=now + overlap if is_kept else None,
    )
    return _existing(work, webhook_id), secret


def enable_webhook(work: UnitOfWork, webhook_id: str) -> Webhook:
    """Send to a disabled webhook again; what was canceled meanwhile is replayed on request only.

    Raises:
        InvalidInput: ``not_found``.
    """
    _existing(work, webhook_id, is_locked=True)
    rows.update_webhook(
        work, webhook_id, disabled_at=None, disabled_reason=None, claimed_until=None
    )
    return _existing(work, webhook_id)


def list_deliveries(
    work: UnitOfWork, webhook_id: str, *, limit: int, after: Cut | None = None
) -> list[Delivery]:
    """A page of the delivery log, newest first.

    Raises:
        InvalidInput: ``not_found``.
    """
    _existing(work, webhook_id)
    return rows.list_deliveries(work, webhook_id, limit=limit, after=after)


def replay_delivery(
    work: UnitOfWork, webhook_id: str, delivery_id: str, *, now: datetime, new_id: NewId
) -> Delivery:
    """Send a message again, with its own ``webhook-id``, as a delivery of its own.

    Raises:
        InvalidInput: ``not_found``; ``webhook_disabled``.
    """
    _enabled(work, webhook_id)
    found = rows.find_delivery(work, webhook_id, check_id("whd", delivery_id))
    if found is None:
        raise missing("whd", delivery_id)
    replay = new_delivery(
        webhook_id,
        found.tenant_id,
        found.payload,
        delivery_id=new_id("whd"),
        message_id=found.message_id,
        now=now,
        traceparent=found.traceparent,
    )
    rows.insert_deliveries(work, [replay])
    return replay


def send_test(
    work: UnitOfWork,
    webhook_id: str,
    *,
    now: datetime,
    new_id: NewId,
    traceparent: str | None = None,
) -> Delivery:
    """Queue a ``webhook.test`` event, whatever events the webhook asked for.

    Raises:
        InvalidInput: ``not_found``; ``webhook_disabled``.
    """
    webhook = _enabled(work, webhook_id)
    delivery_id = new_id("whd")
    test = new_delivery(
        webhook_id,
        webhook.tenant_id,
        make_payload(TEST_EVENT, {"webhook_id": webhook_id}, now),
        delivery_id=delivery_id,
        message_id=f"msg_{delivery_id}",
        now=now,
        traceparent=traceparent,
    )
    rows.insert_deliveries(work, [test])
    return test


def _existing(work: UnitOfWork, webhook_id: str, *, is_locked: bool = False) -> Webhook:
    found = rows.find_webhook(work, check_id("whk", webhook_id), is_locked=is_locked)
    if found is None:
        raise missing("whk", webhook_id)
    return found


def _enabled(work: UnitOfWork, webhook_id: str) -> Webhook:
    found = _existing(work, webhook_id)
    if found.disabled_at is not None:
        raise InvalidInput("webhook_disabled", "this webhook is disabled; enable it first")
    return found
