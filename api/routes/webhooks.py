"""Webhooks, their delivery log and replays."""

from datetime import timedelta

from fastapi import APIRouter
from starlette.responses import Response

from api.db.webhooks import Delivery, Webhook
from api.dependencies import AdminCall, MemberCall
from api.http.answers import Cursor, Limit, Listing, json_answer, page_of
from api.http.openapi import refusals
from api.http.strict_json import StrictRoute
from api.schemas.model import DeliveryId, Page, WebhookId
from api.schemas.webhooks import (
    DeliveryBody,
    NewSecretBody,
    SecretRotationRequest,
    WebhookBody,
    WebhookRequest,
)
from api.views.webhooks import delivery_body, secret_body, webhook_body
from api.webhooks import endpoints
from api.webhooks.events import DEFAULT_EVENT_TYPES
from api.webhooks.sealing import SecretBox

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)


@router.post(
    "",
    status_code=201,
    response_model=NewSecretBody,
    operation_id="createWebhook",
    responses=refusals(409),
)
async def create_webhook(body: WebhookRequest, call: AdminCall) -> Response:
    """Register a webhook. Its secret is shown in this answer only."""
    new = endpoints.NewWebhook(body.url, body.events or DEFAULT_EVENT_TYPES)
    parts = call.parts

    def create() -> NewSecretBody:
        with call.work() as work:
            webhook, secret = endpoints.create_webhook(
                work,
                new,
                parts.webhook_rules,
                now=parts.now(),
                new_id=parts.new_id,
                random_bytes=parts.random_bytes,
                box=SecretBox(parts.settings.secrets_key),
            )
        return secret_body(webhook, secret, call.address)

    answer = await call.in_thread(create)
    return json_answer(answer, 201, {"Location": answer.urls.self})


@router.get("", response_model=Page[WebhookBody], operation_id="listWebhooks")
async def get_webhooks(call: MemberCall, limit: Limit = 20, cursor: Cursor = None) -> Response:
    """Webhooks, newest first."""
    listing = Listing("webhooks", "whk")
    cut = listing.after(cursor)

    def read() -> list[Webhook]:
        with call.work(is_read_only=True) as work:
            return endpoints.list_webhooks(work, limit=limit + 1, after=cut)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(
            listing,
            rows,
            limit,
            lambda row: (row.created_at, row.webhook_id),
            lambda row: webhook_body(row, call.address),
        )
    )


@router.get("/{webhook_id}", response_model=WebhookBody, operation_id="getWebhook")
async def get_webhook(webhook_id: WebhookId, call: MemberCall) -> Response:
    """One webhook."""

    def read() -> Webhook:
        with call.work(is_read_only=True) as work:
            return endpoints.read_webhook(work, webhook_id)

    return json_answer(webhook_body(await call.in_thread(read), call.address))


@router.delete("/{webhook_id}", status_code=204, operation_id="deleteWebhook")
async def delete_webhook(webhook_id: WebhookId, call: AdminCall) -> Response:
    """Remove a webhook with its log."""

    def remove() -> None:
        with call.work() as work:
            endpoints.delete_webhook(work, webhook_id)

    await call.in_thread(remove)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate-secret", response_model=NewSecretBody, operation_id="rotateWebhookSecret"
)
async def rotate_secret(
    webhook_id: WebhookId, body: SecretRotationRequest, call: AdminCall
) -> Response:
    """Give it a new secret; for a while messages carry signatures of both."""
    parts = call.parts

    def rotate() -> NewSecretBody:
        with call.work() as work:
            webhook, secret = endpoints.rotate_secret(
                work,
                webhook_id,
                now=parts.now(),
                random_bytes=parts.random_bytes,
                box=SecretBox(parts.settings.secrets_key),
                overlap=timedelta(seconds=body.overlap_seconds),
            )
        return secret_body(webhook, secret, call.address)

    return json_answer(await call.in_thread(rotate))


@router.post("/{webhook_id}/enable", response_model=WebhookBody, operation_id="enableWebhook")
async def enable_webhook(webhook_id: WebhookId, call: AdminCall) -> Response:
    """Send to a disabled webhook again; what was missed is replayed on request."""

    def enable() -> Webhook:
        with call.work() as work:
            return endpoints.enable_webhook(work, webhook_id)

    return json_answer(webhook_body(await call.in_thread(enable), call.address))


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    response_model=DeliveryBody,
    operation_id="testWebhook",
    responses=refusals(409),
)
async def send_test(webhook_id: WebhookId, call: AdminCall) -> Response:
    """Send it a `webhook.test` message."""
    parts = call.parts

    def send() -> Delivery:
        with call.work() as work:
            return endpoints.send_test(
                work,
                webhook_id,
                now=parts.now(),
                new_id=parts.new_id,
                traceparent=call.traceparent,
            )

    return json_answer(delivery_body(await call.in_thread(send)), 202)


@router.get(
    "/{webhook_id}/deliveries",
    response_model=Page[DeliveryBody],
    operation_id="listWebhookDeliveries",
)
async def get_deliveries(
    webhook_id: WebhookId, call: MemberCall, limit: Limit = 20, cursor: Cursor = None
) -> Response:
    """The delivery log, newest first."""
    listing = Listing("deliveries", "whd", {"webhook_id": webhook_id})
    cut = listing.after(cursor)

    def read() -> list[Delivery]:
        with call.work(is_read_only=True) as work:
            return endpoints.list_deliveries(work, webhook_id, limit=limit + 1, after=cut)

    rows = await call.in_thread(read)
    return json_answer(
        page_of(listing, rows, limit, lambda row: (row.created_at, row.delivery_id), delivery_body)
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryBody,
    operation_id="replayWebhookDelivery",
    responses=refusals(409),
)
async def replay(webhook_id: WebhookId, delivery_id: DeliveryId, call: AdminCall) -> Response:
    """Send a message again, under its own `webhook-id`."""
    parts = call.parts

    def send_again() -> Delivery:
        with call.work() as work:
            return endpoints.replay_delivery(
                work, webhook_id, delivery_id, now=parts.now(), new_id=parts.new_id
            )

    return json_answer(delivery_body(await call.in_thread(send_again)), 202)
