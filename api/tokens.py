"""API keys as users hold them: ``ts_`` and 43 random characters. Kept is only their digest."""

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from api.db.api_keys import KeyOwner
from api.db.records import KeyScope
from api.http.problems import Refused

RandomBytes = Callable[[int], bytes]
_SECRET_BYTES = 32
_TOKEN = re.compile(r"ts_[A-Za-z0-9_-]{43}")
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
CACHE_SECONDS = 5.0
"""How long another gateway's revocation may stay unnoticed."""
_MAX_CACHED = 10_000
RANK = {KeyScope.member: 0, KeyScope.admin: 1, KeyScope.operator: 2}
"""A scope includes those of lower rank."""
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="talksplat"'}


class Principal(NamedTuple):
    """Who asks."""

    tenant_id: str
    key_id: str
    scope: KeyScope


class _Cached(NamedTuple):
    owner: KeyOwner
    read_at: float


def new_token(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """Draw a key; it is shown to its holder once."""
    drawn = base64.urlsafe_b64encode(random_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    return f"ts_{drawn}"


def digest_of(token: str) -> str:
    """SHA-256 of a key; 256 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_bearer(authorization: str | None) -> str:
    """The key of an ``Authorization`` header, in its right form.

    Raises:
        Refused: ``unauthenticated``.
    """
    match = _BEARER.fullmatch(authorization or "")
    if match is None:
        raise Refused(
            "unauthenticated",
            "send your API key as Authorization: Bearer ts_...",
            headers=CHALLENGE,
        )
    if not _TOKEN.fullmatch(match[1]):
        raise bad_key()
    return match[1]


def check_owner(owner: KeyOwner | None, now: datetime) -> Principal:
    """Who a key stands for.

    Raises:
        Refused: ``unauthenticated`` when it is unknown, revoked or expired, or its tenant disabled.
    """
    if owner is None or owner.is_tenant_disabled:
        raise bad_key()
    key = owner.key
    is_over = key.expires_at is not None and key.expires_at <= now
    if is_over or key.revoked_at is not None:
        raise bad_key()
    return Principal(key.tenant_id, key.key_id, key.scope)


def check_scope(principal: Principal, needed: KeyScope) -> None:
    """Refuse what the key may not do.

    Raises:
        Refused: ``scope_missing``.
    """
    if RANK[principal.scope] < RANK[needed]:
        raise Refused(
            "scope_missing",
            f"this needs a key of scope {needed.value}; yours has scope {principal.scope.value}",
        )


def bad_key() -> Refused:
    """The refusal of every key that is not good, whatever the reason."""
    return Refused(
        "unauthenticated",
        "this API key is unknown, revoked or expired",
        headers=CHALLENGE,
    )


class KeyCache:
    """Good keys that were looked up a moment ago, so that not every request asks the database."""

    def __init__(self) -> None:
        self._found: dict[str, _Cached] = {}
        self._lock = threading.Lock()

    def find(self, secret_sha256: str, now: float) -> KeyOwner | None:
        """What was remembered; ``now`` in monotonic seconds."""
        cached = self._found.get(secret_sha256)
        if cached is None or now - cached.read_at > CACHE_SECONDS:
            return None
        return cached.owner

    def remember(self, secret_sha256: str, owner: KeyOwner, now: float) -> None:
        """Remember for some seconds."""
        with self._lock:
            if len(self._found) >= _MAX_CACHED:
                self._found.clear()
            self._found[secret_sha256] = _Cached(owner, now)

    def forget(self) -> None:
        """After a change of keys or tenants by this process."""
        with self._lock:
            self._found.clear()
