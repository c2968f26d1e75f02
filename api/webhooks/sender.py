"""Delivers what is due: claim in one transaction, send outside of any, note in another.

At least once: a gateway that dies while sending leaves its claim to run out, and the message goes
out again under the same ``webhook-id``.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.engine import Engine

from api.db.session import engine_work
from api.db.webhook_queue import (
    Claim,
    Outcome,
    claim_delivery,
    disable_webhook,
    has_delivered_since,
    has_due,
    record_outcome,
)
from api.db.webhooks import DeliveryStatus, Try
from api.webhooks.client import Answer, Post
from api.webhooks.events import encode_payload
from api.webhooks.schedule import (
    MAX_ATTEMPTS,
    THROTTLED,
    Verdict,
    decide,
    parse_retry_after,
)
from api.webhooks.sealing import UNSEALED, SecretBox
from api.webhooks.signing import Message, sign
from shared.errors import InvalidInput
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.logs import bound_fields, log_event
from shared.observability.trace import HEADER, continue_trace

_LOGGER = logging.getLogger(__name__)

REST_AFTER_FAILURE = timedelta(seconds=5)
"""A receiver that fails is asked by its other messages no sooner."""
MAX_REST = timedelta(hours=1)
"""However long a Retry-After, other messages try their luck after this."""


class Sender(NamedTuple):
    """What sending needs; one for all threads of a gateway."""

    database: Engine
    post: Post
    telemetry: GatewayTelemetry
    now: Callable[[], datetime]
    """Wall clock, UTC."""
    jitter: Callable[[], float]
    """Draws from [0, 1)."""
    box: SecretBox = UNSEALED
    """Opens secrets."""


def run_sender(sender: Sender, stop: threading.Event, idle_seconds: float = 1.0) -> None:
    """Send until ``stop`` is set; the body of one engine thread.

    Raises:
        Unavailable: the database is away; the caller pauses and calls again.
    """
    while not stop.is_set():
        if not send_next(sender):
            stop.wait(idle_seconds)


def send_next(sender: Sender) -> bool:
    """Make one attempt; False when nothing is due.

    Raises:
        Unavailable: the database is away; what was claimed goes out again later.
    """
    with engine_work(sender.database, is_read_only=True) as work:
        if not has_due(work, sender.now()):
            return False
    with engine_work(sender.database) as work:
        claim = claim_delivery(work, sender.now())
    if claim is None:
        return False
    delivery = claim.delivery
    trace = continue_trace(delivery.traceparent)
    with bound_fields(
        webhook_id=delivery.webhook_id,
        delivery_id=delivery.delivery_id,
        attempt=delivery.n_tries,
        trace_id=trace.trace_id,
    ):
        started_at = sender.now()
        answer = _post(sender, claim, started_at, trace.header)
        _note(sender, claim, answer, started_at)
    return True


def _post(sender: Sender, claim: Claim, now: datetime, traceparent: str) -> Answer:
    if claim.delivery.n_tries > MAX_ATTEMPTS:
        return Answer(None, 0.0, error="never_ended")  # each attempt took its gateway along
    body = encode_payload(claim.delivery.payload)
    message = Message(claim.delivery.message_id, now, body)
    try:
        sealed = claim.secrets.live(now)
        secrets = [sender.box.open(each, claim.delivery.webhook_id) for each in sealed]
        signed = sign(message, secrets)
    except InvalidInput as error:
        return Answer(None, 0.0, error=error.code)
    return sender.post(claim.url, {**signed, HEADER: traceparent}, body)


def _note(sender: Sender, claim: Claim, answer: Answer, started_at: datetime) -> None:
    delivery, now = claim.delivery, sender.now()
    decision = decide(
        answer.status,
        answer.retry_after,
        n_attempts=delivery.n_tries,
        now=now,
        jitter=sender.jitter(),
    )
    tried = Try(
        at=started_at,
        status=answer.status,
        error=answer.error,
        seconds=answer.seconds,
        body=answer.body,
    )
    rest_until = None if decision.verdict is Verdict.DELIVERED else now + _rest(answer, now)
    outcome = Outcome(_STATUS[decision.verdict], tried, decision.next_attempt_at, rest_until)
    reason = None
    with engine_work(sender.database) as work:
        if record_outcome(work, delivery, outcome, now):
            is_failing = decision.verdict is Verdict.FAILED and not has_delivered_since(
                work, delivery.webhook_id, delivery.created_at
            )
            given_up = {Verdict.GONE: "gone"}.get(
                decision.verdict, "failing" if is_failing else None
            )
            if given_up and disable_webhook(work, delivery.webhook_id, given_up, now):
                reason = given_up
    sender.telemetry.webhook_tried(decision.verdict.value, seconds=answer.seconds)
    log_event(
        _LOGGER,
        "webhook_tried",
        outcome=decision.verdict.value,
        status=answer.status,
        error=answer.error,
        seconds=round(answer.seconds, 3),
    )
    if reason:
        sender.telemetry.webhook_disabled(reason)
        log_event(_LOGGER, "webhook_disabled", level=logging.WARNING, reason=reason)


_STATUS = {
    Verdict.DELIVERED: DeliveryStatus.delivered,
    Verdict.RETRY: DeliveryStatus.pending,
    Verdict.FAILED: DeliveryStatus.failed,
    Verdict.GONE: DeliveryStatus.failed,
}


def _rest(answer: Answer, now: datetime) -> timedelta:
    """How long a receiver that failed is left alone."""
    is_asked = answer.status in THROTTLED
    wait = parse_retry_after(answer.retry_after, now) if is_asked else timedelta(0)
    return min(max(wait, REST_AFTER_FAILURE), MAX_REST)
