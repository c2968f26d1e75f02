"""Signatures of Standard Webhooks 1.0: HMAC-SHA256 over ``id.timestamp.body``.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
While a secret is being replaced, a message carries one signature per live secret.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.errors import InvalidInput

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins, not one
N_SECRET_BYTES = 32
"""The standard asks for 24 to 64."""
TOLERANCE_SECONDS = 300
"""How far a receiver's clock may be from the time of a message."""

_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64
_VERSION = "v1"


class Message(NamedTuple):
    """What is signed and sent."""

    message_id: str
    """Stays the same over retries and replays: receivers drop what they have seen."""
    sent_at: datetime
    """Of this attempt, UTC; whole seconds are signed."""
    body: bytes


def generate_secret(random_bytes: Callable[[int], bytes]) -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(random_bytes(N_SECRET_BYTES)).decode("ascii")


def sign(message: Message, secrets: Sequence[str]) -> dict[str, str]:
    """Headers of ``message``, with one signature for each of ``secrets``.

    Raises:
        InvalidInput: ``bad_webhook_secret``.
    """
    if not secrets:
        raise InvalidInput("bad_webhook_secret", "a webhook needs at least one live secret")
    timestamp = str(int(message.sent_at.timestamp()))
    signatures = [_signature(message.message_id, timestamp, message.body, key) for key in secrets]
    return {
        ID_HEADER: message.message_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: " ".join(signatures),
    }


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether ``headers`` sign ``body`` with ``secret``, not longer ago than the tolerance.

    What a receiver does; ``docs/webhooks.md`` shows it. Header names are lower case.
    """
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= len("9999999999")
    if not is_number or abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    expected = _signature(headers.get(ID_HEADER, ""), timestamp, body, secret).encode()
    given = headers.get(SIGNATURE_HEADER, "").split(" ")
    return any(hmac.compare_digest(expected, one.encode()) for one in given)


def _signature(message_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"{_VERSION},{base64.b64encode(digest).decode('ascii')}"


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("bad_webhook_secret", "a webhook secret is not base64") from error
    if not _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES:
        raise InvalidInput(
            "bad_webhook_secret",
            f"a webhook secret has {len(key)} bytes, expected "
            f"{_MIN_SECRET_BYTES} to {_MAX_SECRET_BYTES}; rotate it",
        )
    return key
