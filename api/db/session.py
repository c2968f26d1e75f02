"""Opens the database and begins transactions as a tenant or as the engine.

In PostgreSQL the login role may do nothing by itself: every transaction takes a role with
a local ``SET ROLE``, and tenants are told apart by ``talksplat.tenant``, which lasts as long as the
transaction. SQLite has no roles; there the queries' own filters stand alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url

from api.db.unit_of_work import UnitOfWork
from shared.errors import InvalidInput, Unavailable

TENANT_ROLE, ENGINE_ROLE = "talksplat_tenant", "talksplat_engine"
TENANT_SETTING = "talksplat.tenant"
_READ_ONLY = "talksplat_read_only"
_BUSY_TIMEOUT_MS = 30_000


def open_database(url: str, *, pool_size: int = 10) -> Engine:
    """Engine for ``postgresql://…`` or ``sqlite:///file``; connects when first used.

    Raises:
        InvalidInput: ``bad_database_url`` for anything else.
    """
    parsed = parse_database_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, pool_size=pool_size, max_overflow=0, pool_timeout=30)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return sa.create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        connect_args={"connect_timeout": 5, "options": "-c statement_timeout=30000"},
    )


def parse_database_url(url: str) -> URL:
    """``url`` with our driver named.

    Raises:
        InvalidInput: ``bad_database_url`` when it is no URL of PostgreSQL or of an SQLite file.
    """
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidInput("bad_database_url", "the database URL is not a URL") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg2")
    raise InvalidInput(
        "bad_database_url",
        f"the database URL begins with {parsed.drivername!r}; expected "
        "postgresql://user:password@host/name or sqlite:////absolute/path.db",
    )


@contextmanager
def tenant_work(
    database: Engine, tenant_id: str, *, is_read_only: bool = False
) -> Iterator[UnitOfWork]:
    """One transaction that sees one tenant; commits at the end, rolls back on an error.

    Raises:
        Unavailable: ``database_unavailable`` when it cannot be reached or is overloaded.
    """
    role = {"role": TENANT_ROLE, TENANT_SETTING: tenant_id}
    with _transaction(database, role, is_read_only=is_read_only) as connection:
        yield UnitOfWork(connection, tenant_id)


@contextmanager
def engine_work(database: Engine, *, is_read_only: bool = False) -> Iterator[UnitOfWork]:
    """One transaction of the engine or an operator, which sees every tenant.

    Raises:
        Unavailable: ``database_unavailable`` when it cannot be reached or is overloaded.
    """
    role = {"role": ENGINE_ROLE}
    with _transaction(database, role, is_read_only=is_read_only) as connection:
        yield UnitOfWork(connection, None)


@contextmanager
def _transaction(
    database: Engine, settings: Mapping[str, str], *, is_read_only: bool
) -> Iterator[Connection]:
    """A transaction with PostgreSQL's ``settings``, of which ``role`` is one; they end with it."""
    try:
        with database.connect() as opened:
            connection = opened.execution_options(**{_READ_ONLY: is_read_only})
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(_SET[len(settings)], _parameters(settings))
                yield connection
    except sa.exc.TimeoutError as error:
        raise _unavailable() from error
    except sa.exc.DBAPIError as error:
        is_away = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        if is_away or error.connection_invalidated:
            raise _unavailable() from error
        raise


def _parameters(settings: Mapping[str, str]) -> dict[str, str]:
    named = list(settings.items())
    return {f"{part}{n}": pair[k] for n, pair in enumerate(named) for k, part in enumerate("nv")}


def _unavailable() -> Unavailable:
    return Unavailable(
        "database_unavailable", "the database does not answer; try again in some seconds"
    )


_SET = {
    n: sa.text("SELECT " + ", ".join(f"set_config(:n{i}, :v{i}, true)" for i in range(n)))
    for n in (1, 2)
}
"""One round trip instead of SET LOCAL ROLE and another."""


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401
    """Let us say BEGIN ourselves; readers do not wait for the writer."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that may write takes the write lock at once, else it could fail half-way."""
    is_read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if is_read_only else "BEGIN IMMEDIATE")
