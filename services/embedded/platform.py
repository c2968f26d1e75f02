"""The whole platform in one process: gateway, engine, and workers of every service.

SQLite and a folder keep everything; messages live in memory, and are made again from the database
at the next start. Stages run in processes of their own, as everywhere.
"""

import fcntl
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import URL

from api.accounts import KeyTerms, Making, create_key, create_tenant
from api.db.migrate import migrate_database
from api.db.records import KeyScope, Tenant
from api.db.session import engine_work, open_database
from api.db.tenants import list_tenants
from api.db.unit_of_work import UnitOfWork
from api.dependencies import Parts
from api.gateway import Places, draw_id, open_gateway
from api.jobs.restart import begin_again
from api.settings import GatewaySettings
from shared.errors import InvalidInput
from shared.messaging.publisher import Publisher
from shared.messaging.routes import SERVICES
from shared.object_store import open_store
from shared.observability.logs import log_event, log_failure
from shared.observability.worker_telemetry import GpuCollector, WorkerTelemetry, read_gpu_memory
from shared.worker.companion import Presence, keep_company
from shared.worker.loop import work_until
from shared.worker.stage_entry import service_modules
from shared.worker.stage_runner import Worker
from shared.worker.stopping import Runs
from shared.worker.workspace import remove_abandoned

BROKER_URL = "memory://"
NICENESS = 10
"""Of the stages, so that requests are answered while all cores compute."""
_STAFF = (*SERVICES, "preprocess")
"""A worker each, and one more, so that uploads are verified while a capture is prepared."""
_TENANT = "local"
_JOIN_SECONDS = 15.0
W = TypeVar("W")
_log = logging.getLogger(__name__)


class Platform(NamedTuple):
    """A running platform."""

    app: FastAPI
    new_key: str | None
    """API key that was made at this start; it is nowhere else."""
    is_alive: Callable[[], bool]
    """Whether all threads go on."""


@contextmanager
def open_platform(
    folder: Path, settings: GatewaySettings, *, is_key_wanted: bool = False
) -> Iterator[Platform]:
    """Everything running in ``folder``, for as long as the block lasts.

    Args:
        folder: Where all data lie; made if there is none.
        settings: Of the gateway.
        is_key_wanted: Make another API key even if there is one.

    Raises:
        InvalidInput: ``data_dir_in_use`` by another process.
        Unavailable: ``database_unavailable``; ``store_unavailable``.
    """
    with ExitStack() as stack:
        stack.enter_context(_held(folder))
        places = _places(folder)
        migrate_database(places.database_url)
        new_key = _recover(places.database_url, is_key_wanted=is_key_wanted)
        app = stack.enter_context(open_gateway(places, settings))
        parts: Parts = app.state.parts
        threads = stack.enter_context(_workers(places, folder / "work", parts.registry))

        def is_alive() -> bool:
            return parts.is_alive() and all(thread.is_alive() for thread in threads)

        yield Platform(app, new_key, is_alive)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep the folder from every other process; the system lets go of it when this one ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                "data_dir_in_use",
                f"another talksplat serve works in {folder}; end it, or name another --data-dir",
            ) from error
        yield


def _places(folder: Path) -> Places:
    database = URL.create("sqlite", database=str(folder / "platform.db"))
    return Places(
        database.render_as_string(hide_password=False), BROKER_URL, (folder / "store").as_uri()
    )


def _recover(database_url: str, *, is_key_wanted: bool) -> str | None:
    """Take up what an earlier process left, and make the first key where there is none."""
    database = open_database(database_url)
    now = datetime.now(UTC)
    try:
        n_stages = begin_again(database, now)
        if n_stages:
            log_event(_log, "stages_begun_again", n_stages=n_stages)
        making = Making(now, draw_id, secrets.token_bytes)
        with engine_work(database) as work:
            tenant = _first_tenant(work)
            if tenant is not None and not is_key_wanted:
                return None
            tenant = tenant or create_tenant(work, _TENANT, making)
            terms = KeyTerms("talksplat serve", KeyScope.operator)
            return create_key(work, tenant.tenant_id, terms, making).token
    finally:
        database.dispose()


def _first_tenant(work: UnitOfWork) -> Tenant | None:
    tenants = list_tenants(work, None, 1000)
    return min(tenants, key=lambda tenant: tenant.created_at, default=None)


@contextmanager
def _workers(
    places: Places, work_dir: Path, registry: CollectorRegistry
) -> Iterator[Sequence[threading.Thread]]:
    """Threads that take commands and hear cancels, for each service; they run stages elsewhere."""
    work_dir.mkdir(mode=0o700, exist_ok=True)
    remove_abandoned(work_dir)
    registry.register(GpuCollector(read_gpu_memory))
    telemetry = WorkerTelemetry(registry)
    store, publisher, stop = open_store(places.store_url), Publisher(BROKER_URL), threading.Event()
    threads: list[threading.Thread] = []
    for service in _STAFF:
        worker = Worker(
            worker_id=f"{service}-local-{secrets.token_hex(4)}",
            service=service,
            modules=service_modules(service),
            store=store,
            send=publisher.send_event,
            runs=Runs(),
            work_dir=work_dir,
            telemetry=telemetry,
        )
        presence = Presence(worker.worker_id, service, worker.runs, worker.send, worker.clock)
        threads += [
            _start(f"work-{worker.worker_id}", work_until, worker, stop),
            _start(f"hear-{worker.worker_id}", keep_company, presence, stop),
        ]
    try:
        yield threads
    finally:
        stop.set()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        publisher.close()


def _start(
    name: str, run: Callable[[str, W, threading.Event], None], what: W, stop: threading.Event
) -> threading.Thread:
    """Run in a thread; if it ends by an error, that is logged and the process ends soon."""

    def guarded() -> None:
        try:
            run(BROKER_URL, what, stop)
        except Exception as error:  # noqa: BLE001 - the edge of the thread; is_alive tells of it
            log_failure(_log, "platform_thread_ended", error, thread=name)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread
