"""Webhooks: where a tenant wants to be told."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from api.schemas.links import Links
from api.schemas.model import AnswerBody, RequestBody, id_field

_ID = "whk_01jd5xv7e8f9g0h1j2k3m4n5p6"
EventType = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z_]+$", max_length=64)]


class WebhookRequest(RequestBody):
    """A webhook to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.com/talksplat",
                    "events": ["job.succeeded", "job.failed"],
                }
            ]
        }
    )

    url: Annotated[str, Field(min_length=8, max_length=2000, pattern=r"^https?://[\x21-\x7E]+$")]
    """Where messages are sent: a public address."""
    events: list[EventType] | None = Field(default=None, min_length=1, max_length=20)
    """What to be told; the ends of jobs by default. The catalog lists all."""


class SecretRotationRequest(RequestBody):
    """Replace a webhook's secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    overlap_seconds: int = Field(default=24 * 3600, ge=0, le=7 * 24 * 3600)
    """How long messages carry signatures of both secrets."""


class WebhookBody(AnswerBody):
    """A webhook, without its secret."""

    webhook_id: str = id_field("whk", _ID)
    """Names it."""
    url: str
    """Where messages are sent."""
    events: list[str]
    """What it is told."""
    previous_secret_until: datetime | None
    """Until then messages carry a signature of the last secret too."""
    disabled_at: datetime | None
    """Since when nothing is sent."""
    disabled_reason: str | None
    """``gone`` the receiver answered 410; ``failing`` nothing got through for days."""
    created_at: datetime
    """Since when."""
    urls: Links
    """Where to go on."""


class NewSecretBody(WebhookBody):
    """A webhook with its new secret: the only answer that shows it."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    """Signs messages as Standard Webhooks 1.0 says; keep it."""


class TryBody(AnswerBody):
    """One attempt to deliver."""

    at: datetime
    """When."""
    status: int | None
    """HTTP status of the answer."""
    error: str | None
    """Why there was none."""
    seconds: float
    """How long it took."""
    body: str
    """Beginning of the answer."""


class DeliveryBody(AnswerBody):
    """One message to one webhook."""

    delivery_id: str = id_field("whd")
    """Names it."""
    message_id: str
    """The ``webhook-id`` header: equal in retries and replays."""
    type: str
    """Event type."""
    status: str
    """``pending``, ``delivered``, ``failed`` or ``canceled``."""
    payload: dict[str, object]
    """What is sent."""
    n_tries: int
    """How often it was sent."""
    tries: list[TryBody]
    """Each attempt."""
    next_try_at: datetime | None
    """When it is sent next."""
    created_at: datetime
    """When it was queued."""
    finished_at: datetime | None
    """When it was delivered or given up."""
