"""A gateway in memory: SQLite in a folder, a store in memory, a clock and tenants with keys."""

import contextlib
import functools
import itertools
import logging
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from api.accounts import KeyTerms, Making, create_key, create_tenant
from api.catalog import read_catalog
from api.db.listings import read_versions
from api.db.migrate import check_database, migrate_database
from api.db.records import KeyScope, Quotas, UploadStatus
from api.db.resources import change_upload
from api.db.session import engine_work, open_database
from api.dependencies import Parts
from api.http.job_watcher import JobWatcher
from api.ids import new_id
from api.main import make_app
from api.settings import GatewaySettings
from api.webhooks.address import AddressRules
from shared.object_store import Store, open_store
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.readiness import Readiness

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CONSENT = {
    "subject": "Ada",
    "scope": ["avatar", "video"],
    "expires_at": "2027-11-21T00:00:00Z",
    "statement": "I allow it.",
}
_numbers = itertools.count()


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = START
        self.woken = 0

    def read(self) -> datetime:
        """UTC."""
        return self.now

    def monotonic(self) -> float:
        """Seconds."""
        return self.now.timestamp()

    def advance(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def wake(self) -> None:
        """Count how often the engine was told to look."""
        self.woken += 1


class Account(NamedTuple):
    """A tenant and one of its keys."""

    tenant_id: str
    key_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What its requests carry."""
        return {"Authorization": f"Bearer {self.token}"}


class World:
    """A gateway and what a test does to it from behind."""

    def __init__(self, folder: Path, settings: GatewaySettings, *, store: Store | None) -> None:
        path = folder / "gateway.db"
        path.write_bytes(_template())
        self.clock = Clock()
        self.database = open_database(f"sqlite:///{path}")
        self.store = store or open_store(f"memory://world-{next(_numbers)}")
        self.broker_error: Exception | None = None
        self.parts = make_parts(self, settings)
        self.app: FastAPI = make_app(self.parts)

    def add_account(
        self,
        name: str,
        scope: KeyScope = KeyScope.member,
        quotas: Quotas | None = None,
        *,
        tenant_id: str | None = None,
    ) -> Account:
        """A tenant with a key, or another key of a tenant."""
        making = Making(self.clock.now, self.parts.new_id, self.parts.random_bytes)
        with engine_work(self.database) as work:
            owner = tenant_id or create_tenant(work, name, making, quotas=quotas).tenant_id
            made = create_key(work, owner, KeyTerms(name, scope), making)
        return Account(owner, made.key.key_id, made.token)

    def add_upload(self, client: TestClient, account: Account, purpose: str = "capture") -> str:
        """An upload that was verified."""
        answer = client.post("/v1/uploads", json=upload_body(purpose), headers=account.headers)
        upload_id: str = answer.json()["upload_id"]
        with engine_work(self.database) as work:
            change_upload(
                work,
                upload_id,
                {"status": UploadStatus.ready.value, "facts": {"duration_seconds": 15.0}},
            )
        return upload_id

    def add_avatar(self, client: TestClient, account: Account, key: str = "k") -> dict[str, Any]:
        """An avatar whose job is queued; the answer's body."""
        capture = self.add_upload(client, account)
        answer = client.post(
            "/v1/avatars",
            json=avatar_body(capture),
            headers={**account.headers, "Idempotency-Key": key},
        )
        assert 202 == answer.status_code, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def check_broker(self) -> None:
        """Answer as the test wants."""
        if self.broker_error is not None:
            raise self.broker_error


def make_parts(world: World, settings: GatewaySettings) -> Parts:
    """Parts of a gateway in which the test holds the clock."""
    registry = CollectorRegistry()

    def versions(job_ids: frozenset[str]) -> Mapping[str, int]:
        with engine_work(world.database, is_read_only=True) as work:
            return read_versions(work, job_ids)

    return Parts(
        settings=settings,
        database=world.database,
        store=world.store,
        readiness=Readiness(
            {
                "database": lambda: check_database(world.database),
                "broker": world.check_broker,
                "store": world.store.check,
            }
        ),
        is_alive=lambda: True,
        wake_engine=world.clock.wake,
        catalog=read_catalog(settings),
        telemetry=GatewayTelemetry(registry),
        registry=registry,
        watcher=JobWatcher(versions, logging.getLogger("test"), tick_seconds=0.01),
        webhook_rules=AddressRules(),
        now=world.clock.read,
        monotonic=world.clock.monotonic,
        new_id=lambda kind: new_id(kind, world.clock.now),  # type: ignore[arg-type]
        random_bytes=lambda n: next(_numbers).to_bytes(4, "big").rjust(n, b"r"),
    )


@contextlib.contextmanager
def open_world(
    settings: GatewaySettings | None = None, *, store: Store | None = None
) -> Iterator[tuple[World, TestClient]]:
    """A world and a client of its gateway; errors of the inside become answers."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), settings or GatewaySettings(), store=store)
        with TestClient(world.app, raise_server_exceptions=False) as client:
            yield world, client
        world.database.dispose()


def upload_body(purpose: str = "capture") -> dict[str, Any]:
    """A well-formed request of an upload."""
    return {
        "file_name": "me.mp4" if purpose != "speech" else "hello.wav",
        "content_type": "video/mp4" if purpose != "speech" else "audio/wav",
        "size_bytes": 1000,
        "sha256": SHA256,
        "purpose": purpose,
    }


def avatar_body(capture_upload_id: str) -> dict[str, Any]:
    """A well-formed request of an avatar."""
    return {"name": "Ada", "capture_upload_id": capture_upload_id, "consent": CONSENT}


def path_of(url: str) -> str:
    """Path and query of a link in an answer."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


@functools.cache
def _template() -> bytes:
    """A migrated, empty database; migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        migrate_database(f"sqlite:///{path}")
        database = open_database(f"sqlite:///{path}")
        with database.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.dispose()
        return path.read_bytes()
