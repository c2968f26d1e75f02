"""A platform of real processes on real servers that a test may kill: where it is, who uses it."""

import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from api.accounts import KeyTerms, Making, create_key, create_tenant
from api.db.migrate import migrate_database
from api.db.records import KeyScope, Quotas
from api.db.session import engine_work, open_database
from api.gateway import draw_id
from shared.object_store import Store, open_store
from tests.integration.servers import make_vhost, remove_vhost
from tests.load.burn_jobs import MODULE
from tests.load.programs import Program, free_port

QUOTAS = Quotas(max_running_jobs=1000, max_open_jobs=1_000_000)


@dataclass(frozen=True)
class Site:
    """A place of its own on each server, and what its processes are told."""

    database: Engine
    """As the gateway logs in."""
    store: Store
    settings: Mapping[str, str]
    folder: Path
    """For logs and workspaces."""
    owner_url: str
    """How the database's owner logs in."""

    @property
    def work_dir(self) -> Path:
        """Where the workers' workspaces lie."""
        return self.folder / "work"


@dataclass(frozen=True)
class Customer:
    """A tenant and a key of it."""

    tenant_id: str
    token: str


@contextmanager
def open_site(
    server_urls: Mapping[str, str], folder: Path, *, is_migrated: bool = True
) -> Iterator[Site]:
    """A database, a virtual host and a bucket; all removed afterwards."""
    name = f"talksplat-test-{secrets.token_hex(4)}"
    server = make_url(server_urls["TALKSPLAT_TEST_DATABASE_URL"])
    owner = server.set(database=name)
    gateway = owner.set(username=name, password=secrets.token_hex(8))
    broker = server_urls["TALKSPLAT_TEST_BROKER_URL"]
    store_url = urlunsplit(
        urlsplit(server_urls["TALKSPLAT_TEST_STORE_URL"])._replace(path=f"/{name}")
    )
    store = open_store(store_url)
    _administer(server, f'CREATE DATABASE "{name}"')
    database_url = _text(gateway)
    if is_migrated:
        migrate_database(database_url, _text(owner))
    database = open_database(database_url, pool_size=20)
    (folder / "work").mkdir(parents=True)
    try:
        store.prepare()
        yield Site(
            database=database,
            store=store,
            settings={
                "TALKSPLAT_DATABASE_URL": database_url,
                "TALKSPLAT_BROKER_URL": make_vhost(broker, name),
                "TALKSPLAT_STORE_URL": store_url,
                "TALKSPLAT_WORK_DIR": str(folder / "work"),
                "TALKSPLAT_REQUESTS_PER_MINUTE": "1000000",
                "TALKSPLAT_SUBMISSIONS_PER_MINUTE": "1000000",
            },
            folder=folder,
            owner_url=_text(owner),
        )
    finally:
        database.dispose()
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)', f'DROP ROLE IF EXISTS "{name}"')
        remove_vhost(broker, name)
        store.delete_prefix("tenants/")


def gateway_program(
    site: Site, extra: Mapping[str, str] | None = None, port: int | None = None
) -> tuple[Program, str]:
    """A gateway, not started, and its address."""
    port = port or free_port()
    arguments = ["gateway", "--port", str(port)]
    settings = {**site.settings, **(extra or {})}
    return Program("gateway", arguments, settings, site.folder), f"http://127.0.0.1:{port}"


def worker_programs(site: Site, counts: Mapping[str, int], module: str = MODULE) -> list[Program]:
    """Workers that burn, not started; they get no database."""
    settings = {k: v for k, v in site.settings.items() if "DATABASE" not in k}
    return [
        Program(
            f"{service}-{number}",
            ["worker", service, "--entries", module],
            settings,
            site.folder,
        )
        for service, n in counts.items()
        for number in range(n)
    ]


def add_customers(site: Site, names: Sequence[str], quotas: Quotas = QUOTAS) -> list[Customer]:
    """Tenants with a key each."""
    making = Making(datetime.now(UTC), draw_id, secrets.token_bytes)
    found = []
    for name in names:
        with engine_work(site.database) as work:
            tenant = create_tenant(work, name, making, quotas=quotas)
            key = create_key(work, tenant.tenant_id, KeyTerms("first", KeyScope.admin), making)
        found.append(Customer(tenant.tenant_id, key.token))
    return found


def machine_name() -> str:
    """Of this machine, as workers name themselves by it."""
    return socket.gethostname()


def _text(url: sa.engine.URL) -> str:
    return url.render_as_string(hide_password=False)


def _administer(server: sa.engine.URL, *statements: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()
