"""What receivers are told: small payloads of ids and states, without secrets or links."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from api.db.unit_of_work import UnitOfWork
from api.db.webhooks import Delivery, DeliveryStatus, insert_deliveries, listening_webhooks

EVENT_TYPES = (
    "job.queued",
    "job.running",
    "job.stalled",
    "job.succeeded",
    "job.failed",
    "job.canceled",
)
"""What a webhook can ask for. Progress is for ``GET /v1/jobs/{id}/events``."""
DEFAULT_EVENT_TYPES = ("job.succeeded", "job.failed", "job.canceled")
TEST_EVENT = "webhook.test"
MAX_PAYLOAD_BYTES = 20_000
"""The standard's limit."""

_LONG_TEXT = 500
_KEPT = ("job_id", "kind", "status", "resource_id")


def queue_event(
    work: UnitOfWork,
    tenant_id: str,
    event_type: str,
    data: Mapping[str, Any],
    *,
    message_id: str,
    now: datetime,
    new_id: Callable[[str], str],
    traceparent: str | None = None,
) -> int:
    """Queue an event for each of the tenant's webhooks that asked for it; returns how many.

    Part of the transaction in which the event happens, so neither is there without the other.

    Args:
        work: The tenant's transaction or the engine's.
        tenant_id: Whose event it is.
        event_type: One of ``EVENT_TYPES``; others (progress) are told to nobody.
        data: What ``GET /v1/jobs/{id}/events`` shows too. JSON values.
        message_id: Equal whenever the same event is queued, such as ``msg_JOBID_SEQUENCE``.
        now: When it happened.
        new_id: Draws an id of a kind; ``whd`` for deliveries.
        traceparent: Trace in which it happened.
    """
    if event_type not in EVENT_TYPES:
        return 0
    listening = [one for one in listening_webhooks(work, tenant_id) if event_type in one.events]
    payload = make_payload(event_type, data, now)
    insert_deliveries(
        work,
        [
            new_delivery(
                webhook.webhook_id,
                tenant_id,
                payload,
                delivery_id=new_id("whd"),
                message_id=message_id,
                now=now,
                traceparent=traceparent,
            )
            for webhook in listening
        ],
    )
    return len(listening)


def make_payload(event_type: str, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """``type``, ``timestamp`` and ``data``; what makes it too large is cut."""
    moment = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = {"type": event_type, "timestamp": moment, "data": dict(data)}
    if len(encode_payload(payload)) < MAX_PAYLOAD_BYTES:
        return payload
    payload["data"] = _shorten(dict(data))
    if len(encode_payload(payload)) < MAX_PAYLOAD_BYTES:
        return payload
    kept = {key: data[key] for key in _KEPT if key in data}
    return {**payload, "data": {**kept, "is_truncated": True}}


def encode_payload(payload: Mapping[str, Any]) -> bytes:
    """The body that is signed and sent: the same bytes for the same payload."""
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def new_delivery(
    webhook_id: str,
    tenant_id: str,
    payload: Mapping[str, Any],
    *,
    delivery_id: str,
    message_id: str,
    now: datetime,
    traceparent: str | None = None,
) -> Delivery:
    """A delivery that is due at once."""
    return Delivery(
        delivery_id=delivery_id,
        tenant_id=tenant_id,
        webhook_id=webhook_id,
        message_id=message_id,
        type=str(payload["type"]),
        payload=payload,
        traceparent=traceparent,
        status=DeliveryStatus.pending,
        n_tries=0,
        tries=(),
        next_try_at=now,
        created_at=now,
        finished_at=None,
    )


def _shorten(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else value[:_LONG_TEXT] + "…"
    if isinstance(value, Mapping):
        return {key: _shorten(inner) for key, inner in value.items()}
    return value
