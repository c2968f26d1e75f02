"""A database with webhooks, a clock that a test turns, and a receiver made of answers."""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import Engine

from api.db.session import engine_work, open_database, tenant_work
from api.db.tables import metadata, tenants
from api.db.webhooks import Delivery
from api.ids import new_id
from api.webhooks.address import AddressRules
from api.webhooks.client import Answer
from api.webhooks.endpoints import NewWebhook, create_webhook, list_deliveries
from api.webhooks.events import queue_event
from api.webhooks.sealing import UNSEALED, SecretBox
from api.webhooks.sender import Sender, send_next
from shared.observability.gateway_telemetry import GatewayTelemetry

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OK, BROKEN = Answer(200, 0.1, body="thanks"), Answer(500, 0.1)
NO_ANSWER, GONE = Answer(None, 15.0, error="timeout"), Answer(410, 0.1)


class World:
    """A database with two tenants, a clock and a receiver that answers what the test says."""

    def __init__(self, database: Engine) -> None:
        self.database = database
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.answers: Callable[[bytes], Answer] = lambda _body: OK
        self.received: list[tuple[str, Mapping[str, str], bytes]] = []
        self._numbers = itertools.count(1)
        self.registry = CollectorRegistry()
        self.sender = Sender(
            database=database,
            post=self._post,
            telemetry=GatewayTelemetry(self.registry),
            now=lambda: self.now,
            jitter=lambda: 0.0,
        )
        self.box = UNSEALED

    def seal(self, *keys: bytes) -> None:
        """Keep secrets sealed from now on."""
        self.box = SecretBox(keys)
        self.sender = self.sender._replace(box=self.box)

    def new_id(self, kind: Any) -> str:  # noqa: ANN401
        """Ids in the order in which they are drawn."""
        number = next(self._numbers)
        return new_id(kind, self.now, lambda n: number.to_bytes(n, "big"))

    def create(
        self,
        url: str = "https://a.example/",
        tenant: str = "ten_a",
        **asked: Any,  # noqa: ANN401
    ) -> tuple[str, str]:
        """Id and secret of a new webhook."""
        with tenant_work(self.database, tenant) as work:
            created, secret = create_webhook(
                work,
                NewWebhook(url, **asked),
                AddressRules(),
                now=self.now,
                new_id=self.new_id,
                random_bytes=lambda n: next(self._numbers).to_bytes(n, "big"),
                box=self.box,
            )
        return created.webhook_id, secret

    def happen(self, event_type: str = "job.succeeded", tenant: str = "ten_a") -> int:
        """An event of a job, told by the engine."""
        number = next(self._numbers)
        with engine_work(self.database) as work:
            return queue_event(
                work,
                tenant,
                event_type,
                {"job_id": f"job_{number}", "status": "succeeded"},
                message_id=f"msg_{number}",
                now=self.now,
                new_id=self.new_id,
                traceparent=TRACE,
            )

    def deliveries(self, webhook_id: str, tenant: str = "ten_a") -> list[Delivery]:
        """The log, newest first."""
        with tenant_work(self.database, tenant) as work:
            return list_deliveries(work, webhook_id, limit=100)

    def send_all(self) -> int:
        """Attempts made until nothing was due."""
        n_attempts = 0
        while send_next(self.sender):
            n_attempts += 1
        return n_attempts

    def wait(self, **span: float) -> None:
        """Turn the clock."""
        self.now += timedelta(**span)

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.received.append((url, headers, body))
        return self.answers(body)


def open_world(folder: Path) -> World:
    """A fresh one with tenants ``ten_a`` and ``ten_b``, in SQLite."""
    database = open_database(f"sqlite:///{folder / 'talksplat.db'}")
    metadata.create_all(database)
    add_tenants(database)
    return World(database)


def add_tenants(database: Engine) -> None:
    """The two tenants."""
    with engine_work(database) as work:
        for name in ("ten_a", "ten_b"):
            row = {
                "id": name,
                "name": name,
                "max_running_jobs": 1,
                "max_open_jobs": 1,
                "max_stored_bytes": 1,
                "max_compute_seconds": 1,
                "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            work.connection.execute(sa.insert(tenants).values(row))
