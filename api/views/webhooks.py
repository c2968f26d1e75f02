"""Webhooks and their deliveries as callers see them."""

from api.db.webhooks import Delivery, Webhook
from api.schemas.links import Links
from api.schemas.webhooks import DeliveryBody, NewSecretBody, TryBody, WebhookBody


def webhook_body(webhook: Webhook, address: str) -> WebhookBody:
    """A webhook without its secret."""
    return WebhookBody(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        events=list(webhook.events),
        previous_secret_until=webhook.previous_secret_until,
        disabled_at=webhook.disabled_at,
        disabled_reason=webhook.disabled_reason,
        created_at=webhook.created_at,
        urls=Links(self=f"{address}/v1/webhooks/{webhook.webhook_id}"),
    )


def secret_body(webhook: Webhook, secret: str, address: str) -> NewSecretBody:
    """A webhook with its new secret."""
    return NewSecretBody(**webhook_body(webhook, address).model_dump(), secret=secret)


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """A line of the delivery log."""
    return DeliveryBody(
        delivery_id=delivery.delivery_id,
        message_id=delivery.message_id,
        type=delivery.type,
        status=delivery.status.value,
        payload=dict(delivery.payload),
        n_tries=delivery.n_tries,
        tries=[
            TryBody(
                at=one.at, status=one.status, error=one.error, seconds=one.seconds, body=one.body
            )
            for one in delivery.tries
        ],
        next_try_at=delivery.next_try_at,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
    )
