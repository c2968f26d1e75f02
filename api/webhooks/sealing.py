"""Keeps webhooks' secrets unreadable in the database and in its backups: AES-256-GCM.

A sealed secret is ``sealed:`` and nonce, tag and cipher text in base64; the webhook's id is
authenticated with it, so that a row cannot be given another's secret. What was stored before there
was a key is read as it is.
"""

import base64
import secrets
from typing import NamedTuple

from Crypto.Cipher import AES

from shared.errors import InvalidInput

PREFIX = "sealed:"
KEY_BYTES = 32
_NONCE_BYTES, _TAG_BYTES = 12, 16


class SecretBox(NamedTuple):
    """Seals with the first key and opens with any; without keys it stores secrets as they are."""

    keys: tuple[bytes, ...] = ()

    def seal(self, secret: str, webhook_id: str) -> str:
        """What is stored of ``secret``."""
        if not self.keys:
            return secret
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AES.new(self.keys[0], AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
        cipher.update(webhook_id.encode())
        text, tag = cipher.encrypt_and_digest(secret.encode())
        return PREFIX + base64.b64encode(nonce + tag + text).decode("ascii")

    def open(self, stored: str, webhook_id: str) -> str:
        """The secret of a webhook.

        Raises:
            InvalidInput: ``bad_webhook_secret`` none of the keys fits.
        """
        if not stored.startswith(PREFIX):
            return stored
        sealed = base64.b64decode(stored.removeprefix(PREFIX))
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for key in self.keys:
            cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=_TAG_BYTES)
            cipher.update(webhook_id.encode())
            try:
                return cipher.decrypt_and_verify(rest[_TAG_BYTES:], rest[:_TAG_BYTES]).decode()
            except ValueError:
                continue
        raise InvalidInput(
            "bad_webhook_secret",
            "a webhook's secret was sealed with a key that TALKSPLAT_SECRETS_KEY does not name; "
            "add that key, or rotate the secret",
        )


UNSEALED = SecretBox()
"""Where nobody has given a key."""
