"""A running gateway: the HTTP application and the engine's threads around one database."""

import logging
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import Engine as Database

from api.catalog import read_catalog
from api.consent_withdrawal import stop_unconsented
from api.db.engine_state import read_engine_state
from api.db.listings import read_versions
from api.db.migrate import check_database
from api.db.session import engine_work, open_database
from api.dependencies import Parts
from api.http.job_watcher import JobWatcher
from api.ids import new_id
from api.jobs.engine import Engine, EngineParts, Round, start_engine
from api.jobs.heartbeat import Beating, send_heartbeat
from api.main import make_app
from api.settings import GatewaySettings
from api.webhooks.address import AddressRules
from api.webhooks.client import WebhookClient
from api.webhooks.sealing import SecretBox
from api.webhooks.sender import Sender, send_next
from shared.errors import InvalidInput, Unavailable
from shared.messaging.backlog import count_waiting_events
from shared.messaging.connection import check_broker
from shared.messaging.event_source import receive_events
from shared.messaging.publisher import Publisher
from shared.object_store import Store, open_store
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.readiness import Readiness
from shared.settings import Settings

logger = logging.getLogger(__name__)
_ENGINE_CONNECTIONS = 12
_WEBHOOK_SENDERS = 4
_CONSENT_SECONDS = 5.0
_TELEMETRY_SECONDS = 5.0
_HEARTBEAT_LOOK_SECONDS = 10.0


class Places(NamedTuple):
    """Where a gateway finds what it needs."""

    database_url: str
    broker_url: str
    store_url: str


class _Opened(NamedTuple):
    """What both halves of a gateway share."""

    database: Database
    store: Store
    telemetry: GatewayTelemetry
    rules: AddressRules


def places_of(settings: Settings) -> Places:
    """What the environment names.

    Raises:
        InvalidInput: ``missing_setting``.
    """
    found = (settings.database_url, settings.broker_url, settings.store_url)
    names = ("TALKSPLAT_DATABASE_URL", "TALKSPLAT_BROKER_URL", "TALKSPLAT_STORE_URL")
    absent = [name for name, url in zip(names, found, strict=True) if not url]
    if absent:
        raise InvalidInput(
            "missing_setting",
            f"set {', '.join(absent)}, or run talksplat serve, which needs none",
        )
    return Places(*(url or "" for url in found))


@contextmanager
def open_gateway(places: Places, settings: GatewaySettings) -> Iterator[FastAPI]:
    """The application, with the engine running for as long as the block lasts.

    Raises:
        InvalidInput: a URL cannot be used.
        Unavailable: ``database_unavailable``; ``database_not_migrated``; ``store_unavailable``.
    """
    registry = CollectorRegistry()
    opened = _Opened(
        open_database(places.database_url, pool_size=settings.database_connections),
        open_store(places.store_url),
        GatewayTelemetry(registry),
        _webhook_rules(settings),
    )
    engine_database = open_database(places.database_url, pool_size=_ENGINE_CONNECTIONS)
    check_database(engine_database)
    opened.store.prepare()
    publisher = Publisher(places.broker_url)
    engine = start_engine(
        EngineParts(
            database=engine_database,
            publisher=publisher,
            store=opened.store,
            clock=_now,
            receive=partial(receive_events, places.broker_url),
            count_waiting=partial(count_waiting_events, places.broker_url),
            telemetry=opened.telemetry,
        ),
        _more_rounds(opened._replace(database=engine_database), settings),
    )
    readiness = Readiness(
        {
            "database": lambda: check_database(opened.database),
            "broker": lambda: check_broker(places.broker_url),
            "store": opened.store.check,
            "engine": partial(_check_engine, engine),
        }
    )
    try:
        yield make_app(
            Parts(
                settings=settings,
                database=opened.database,
                store=opened.store,
                readiness=readiness,
                is_alive=engine.is_healthy,
                wake_engine=engine.wake,
                catalog=read_catalog(settings),
                telemetry=opened.telemetry,
                registry=registry,
                watcher=JobWatcher(partial(_read_versions, opened.database), logger),
                webhook_rules=opened.rules,
                now=_now,
                monotonic=time.monotonic,
                new_id=draw_id,
                random_bytes=secrets.token_bytes,
            )
        )
    finally:
        engine.stop()
        publisher.close()
        engine_database.dispose()
        opened.database.dispose()


def _more_rounds(opened: _Opened, settings: GatewaySettings) -> list[Round]:
    """What the engine does besides moving jobs: webhooks, consents, telemetry."""
    database = opened.database
    sender = Sender(
        database=database,
        post=WebhookClient(opened.rules).post,
        telemetry=opened.telemetry,
        now=_now,
        jitter=random.random,
        box=SecretBox(settings.secrets_key),
    )
    if not settings.secrets_key:
        logger.warning("webhook_secrets_unsealed", extra={"setting": "TALKSPLAT_SECRETS_KEY"})

    def read_state() -> int:
        with engine_work(database, is_read_only=True) as work:
            opened.telemetry.set_engine_state(read_engine_state(work, _now()))
        return 0

    return [
        *(
            Round(f"webhooks-{number}", 1.0, lambda: int(send_next(sender)))
            for number in range(_WEBHOOK_SENDERS)
        ),
        Round("consent", _CONSENT_SECONDS, lambda: stop_unconsented(database, _now())),
        Round("telemetry", _TELEMETRY_SECONDS, read_state),
        *_heartbeats(opened, settings),
    ]


def _heartbeats(opened: _Opened, settings: GatewaySettings) -> list[Round]:
    if not settings.heartbeat_seconds:
        return []
    beating = Beating(
        database=opened.database,
        store=opened.store,
        every=timedelta(seconds=settings.heartbeat_seconds),
        services=settings.heartbeat_services,
        new_id=draw_id,
        random_bytes=secrets.token_bytes,
    )

    def beat() -> int:
        send_heartbeat(beating, _now())
        return 0

    return [Round("heartbeat", min(settings.heartbeat_seconds, _HEARTBEAT_LOOK_SECONDS), beat)]


def _check_engine(engine: Engine) -> None:
    if not engine.is_healthy():
        raise Unavailable("engine_stopped", "a thread of the engine has ended; start again")


def _webhook_rules(settings: GatewaySettings) -> AddressRules:
    return AddressRules(
        frozenset(settings.webhook_ports),
        settings.webhook_http,
        settings.webhook_allowed_networks,
        settings.webhook_forbidden_networks,
    )


def _read_versions(database: Database, job_ids: frozenset[str]) -> Mapping[str, int]:
    with engine_work(database, is_read_only=True) as work:
        return read_versions(work, job_ids)


def _now() -> datetime:
    return datetime.now(UTC)


def draw_id(kind: str) -> str:
    """A new id of a kind (``api/ids.py``)."""
    return new_id(kind, _now())  # type: ignore[arg-type] # the kinds of api/ids.py
