"""Idempotency keys: a request that is sent twice is done once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. The key's row is
written in the same transaction as the work, so a request that crashed, or that was refused, has
left neither and may be sent again. While one is under way, its key is locked: by an advisory lock
that ends with the transaction, and within a process by ``KeysInFlight``.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.tables import idempotency_keys
from api.db.unit_of_work import UnitOfWork
from api.http.problems import Refused

KEPT = timedelta(hours=24)
"""How long a first answer is replayed."""
_KEY = re.compile(r"[A-Za-z0-9_:.-]{1,255}")


class Answer(NamedTuple):
    """What was or will be answered."""

    status: int
    headers: dict[str, str]
    body: str
    is_replayed: bool = False


class Claim(NamedTuple):
    """A request that must be done once."""

    tenant_id: str
    route: str
    """Method and path, ids included."""
    key: str
    body_sha256: str

    @property
    def name(self) -> str:
        """What is locked."""
        return f"{self.tenant_id} {self.route} {self.key}"


class KeysInFlight:
    """Keys of requests that this process is working on."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[None]:
        """Keep others with the same key out.

        Raises:
            Refused: ``request_in_progress``.
        """
        with self._lock:
            if claim.name in self._names:
                raise _in_progress()
            self._names.add(claim.name)
        try:
            yield
        finally:
            with self._lock:
                self._names.discard(claim.name)


def read_key(header: str | None) -> str:
    """Check the header of a request that must have one.

    Raises:
        Refused: ``idempotency_key_missing``; ``bad_idempotency_key``.
    """
    if header is None:
        raise Refused(
            "idempotency_key_missing",
            "this request costs compute: send Idempotency-Key with a new random value, and the "
            "same value when you repeat the request",
        )
    key = header.strip().removeprefix('"').removesuffix('"')  # the draft writes it as a string
    if not _KEY.fullmatch(key):
        raise Refused(
            "bad_idempotency_key",
            "Idempotency-Key takes 1 to 255 letters, digits and _ : . -; a UUID will do",
        )
    return key


def fingerprint(body: Mapping[str, Any]) -> str:
    """SHA-256 of a body as it was understood: spaces and the order of members do not count."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find_answer(work: UnitOfWork, claim: Claim, now: datetime) -> Answer | None:
    """The first answer to ``claim``; None when it is this transaction that shall give it.

    Raises:
        Refused: ``request_in_progress`` another transaction is at it; ``idempotency_key_reused``
            the key was used with another body.
    """
    if work.is_postgresql:
        digest = hashlib.sha256(claim.name.encode()).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        is_ours = work.connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(number)))
        if not is_ours:
            raise _in_progress()
    row = work.connection.execute(sa.select(idempotency_keys).where(*_row(claim))).one_or_none()
    if row is None:
        return None
    if row.created_at <= now - KEPT:
        work.connection.execute(sa.delete(idempotency_keys).where(*_row(claim)))
        return None
    if row.body_sha256 != claim.body_sha256:
        raise Refused(
            "idempotency_key_reused",
            "this Idempotency-Key was sent with another body; a new request needs a new key",
        )
    return Answer(row.status_code, dict(row.headers), row.body, is_replayed=True)


def keep_answer(work: UnitOfWork, claim: Claim, answer: Answer, now: datetime) -> None:
    """Note the first answer, to be committed together with what it tells of."""
    work.connection.execute(
        sa.insert(idempotency_keys).values(
            tenant_id=claim.tenant_id,
            route=claim.route,
            key=claim.key,
            body_sha256=claim.body_sha256,
            status_code=answer.status,
            headers=answer.headers,
            body=answer.body,  # as text: PostgreSQL would put the members in another order
            created_at=now,
            locked_until=now,
        )
    )


def _row(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    columns = idempotency_keys.c
    return (
        columns.tenant_id == claim.tenant_id,
        columns.route == claim.route,
        columns.key == claim.key,
    )


def _in_progress() -> Refused:
    return Refused(
        "request_in_progress",
        "a request with this Idempotency-Key is under way; repeat it in a moment",
        headers={"Retry-After": "1"},
    )
