"""Brings the database up to date; run by its owner, never by the gateway."""

import functools
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from api.db.reporting import REPORTING_ROLE
from api.db.row_security import ROLES
from api.db.session import open_database, parse_database_url
from shared.errors import InvalidInput, Unavailable

_MIGRATION_LOCK = 0x7A1C_0002


def migrate_database(
    url: str, owner_url: str | None = None, reporting_url: str | None = None
) -> str:
    """Make or upgrade the schema and let the gateway's login role in; doing it again is harmless.

    Args:
        url: How the gateway logs in.
        owner_url: How the owner logs in; by default the same. Where it differs, the role of ``url``
            is made if there is none, and may do nothing but take the product's roles.
        reporting_url: How dashboards log in, if they shall: its role is made if there is none, and
            may read the views of ``reporting.py`` and nothing else.

    Returns:
        The revision that the database now has.

    Raises:
        InvalidInput: ``bad_database_url``; ``login_role_too_strong`` the gateway's role could pass
            over row-level security.
        Unavailable: ``database_unavailable``.
    """
    database = open_database(owner_url or url)
    try:
        with database.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            command.upgrade(_alembic(connection), "head")
            if connection.dialect.name == "postgresql":
                _let_in(connection, url)
                if reporting_url:
                    _let_report(connection, reporting_url)
            return str(current_revision(connection))
    except sa.exc.OperationalError as error:
        raise Unavailable(
            "database_unavailable", f"the database cannot be reached: {error.orig}"
        ) from error
    finally:
        database.dispose()


def check_database(database: Engine) -> None:
    """Prove that the database answers and has this product's revision; for ``/readyz``.

    Raises:
        Unavailable: ``database_unavailable``; ``database_not_migrated``.
    """
    wanted = _newest_revision()
    try:
        with database.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL ROLE {ROLES[1]}")
            found = current_revision(connection)
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable("database_unavailable", "the database does not answer") from error
    if found != wanted:
        raise Unavailable(
            "database_not_migrated",
            f"the database has revision {found}, this version needs {wanted}: "
            "run talksplat migrate",
        )


def current_revision(connection: Connection) -> str | None:
    """Revision of the schema; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


@functools.cache
def _newest_revision() -> str | None:
    return ScriptDirectory.from_config(_alembic(None)).get_current_head()


def _alembic(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _let_in(connection: Connection, url: str) -> None:
    """Let the gateway's login role take the product's roles, and nothing else."""
    login = parse_database_url(url)
    name = login.username
    owner = connection.execute(sa.text("SELECT current_user")).scalar_one()
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"GRANT SELECT ON alembic_version TO {ROLES[1]}")
    if not name or name == owner:
        if not _is_superuser(connection, owner):
            connection.exec_driver_sql(f"GRANT {', '.join(ROLES)} TO {quote(owner)}")
        return
    _make_login(connection, url, "TALKSPLAT_DATABASE_URL", inherits=False)
    connection.exec_driver_sql(f"GRANT {', '.join(ROLES)} TO {quote(name)}")


def _let_report(connection: Connection, url: str) -> None:
    """Let the dashboards' login role read the views."""
    name = parse_database_url(url).username or ""
    _make_login(connection, url, "TALKSPLAT_REPORTING_DATABASE_URL", inherits=True)
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(f"GRANT {REPORTING_ROLE} TO {quote(name)}")


def _make_login(connection: Connection, url: str, variable: str, *, inherits: bool) -> None:
    """Make the login role of ``url`` if there is none; one that is too strong is refused."""
    login = parse_database_url(url)
    name, password = login.username or "", login.password
    quote = connection.dialect.identifier_preparer.quote
    inherit = "INHERIT" if inherits else "NOINHERIT"
    query = sa.text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = :name")
    found = connection.execute(query, {"name": name}).one_or_none()
    if found is None:
        text = sa.literal(password or "").compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        secret = f"PASSWORD {text}" if password else ""
        connection.exec_driver_sql(f"CREATE ROLE {quote(name)} LOGIN {inherit} {secret}")
    elif found.rolsuper or found.rolbypassrls:
        raise InvalidInput(
            "login_role_too_strong",
            f"role {name!r} of {variable} is a superuser or bypasses row-level "
            "security; name an ordinary role, which is made if there is none",
        )
    connection.exec_driver_sql(f"ALTER ROLE {quote(name)} {inherit}")


def _is_superuser(connection: Connection, role: str) -> bool:
    query = sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = :name")
    return bool(connection.execute(query, {"name": role}).scalar())
