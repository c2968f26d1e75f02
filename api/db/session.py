"""Opens the database and begins transactions as a tenant or as the engine.

In PostgreSQL the login role may do nothing by itself: every transaction takes a role with
``SET LOCAL ROLE``, and tenants are told apart by ``talksplat.tenant``, which lasts as long as the
transaction. SQLite has no roles; there the queries' own filters stand alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

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
        pool_pre_ping=True,
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
    with _transaction(database, "tenant", is_read_only=is_read_only) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(
                sa.text("SELECT set_config(:name, :value, true)"),
                {"name": TENANT_SETTING, "value": tenant_id},
            )
        yield UnitOfWork(connection, tenant_id)


@contextmanager
def engine_work(database: Engine, *, is_read_only: bool = False) -> Iterator[UnitOfWork]:
    """One transaction of the engine or an operator, which sees every tenant.

    Raises:
        Unavailable: ``database_unavailable`` when it cannot be reached or is overloaded.
    """
    with _transaction(database, "engine", is_read_only=is_read_only) as connection:
        yield UnitOfWork(connection, None)


@contextmanager
def _transaction(
    database: Engine, role: Literal["tenant", "engine"], *, is_read_only: bool
) -> Iterator[Connection]:
    try:
        with database.connect() as opened:
            connection = opened.execution_options(**{_READ_ONLY: is_read_only})
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    name = TENANT_ROLE if role == "tenant" else ENGINE_ROLE
                    connection.exec_driver_sql(f"SET LOCAL ROLE {name}")
                yield connection
    except (sa.exc.OperationalError, sa.exc.TimeoutError, sa.exc.InterfaceError) as error:
        raise Unavailable(
            "database_unavailable", "the database does not answer; try again in some seconds"
        ) from error


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
