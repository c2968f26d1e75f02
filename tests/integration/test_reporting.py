"""Dashboards may read aggregates of the database, and nothing else."""

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ProgrammingError

from api.db.migrate import migrate_database
from api.db.reporting import VIEWS
from api.db.session import open_database
from api.db.tables import metadata
from shared.errors import InvalidInput
from tests.engine_rules import ONE
from tests.engine_world import World
from tests.integration.databases import copied_database, login_url

REPORTER, PASSWORD = "reporter_of_tests", "a:b/c%40"


def _as(url: str, user: str) -> str:
    return (
        sa.make_url(url).set(username=user, password=PASSWORD).render_as_string(hide_password=False)
    )


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    """A gateway's database with two tenants and what they did, which dashboards may read."""
    migrate_database(login_url(database_url), database_url, _as(database_url, REPORTER))
    with copied_database(database_url) as copy:
        world = World(copy)
        world.workers()
        for name in ("told_one", "told_two"):
            tenant = world.add_tenant(name)
            world.submit(tenant)
            world.run_everything()
            world.submit(tenant, ONE)
        yield copy


@pytest.fixture
def reporting(database: Engine) -> Iterator[Engine]:
    """The same, as the dashboards log in."""
    url = database.url.render_as_string(hide_password=False)
    engine = open_database(_as(url, REPORTER))
    yield engine
    engine.dispose()


def test_it_can_read_no_table(reporting: Engine) -> None:
    """Not even one column of one, nor take another role."""
    privileges = sa.text(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v')"
        " AND has_any_column_privilege(c.oid, 'SELECT')"
    )
    with reporting.connect() as connection:
        readable = set(connection.execute(privileges).scalars())

    assert set(VIEWS) == readable
    for table in metadata.tables:
        with reporting.connect() as connection, pytest.raises(ProgrammingError, match="permission"):
            connection.execute(sa.text(f"SELECT 1 FROM {table}"))  # noqa: S608 - our own names
    for role in ("talksplat_engine", "talksplat_tenant"):
        with reporting.connect() as connection, pytest.raises(ProgrammingError, match="permission"):
            connection.exec_driver_sql(f"SET ROLE {role}")


def test_it_can_write_nothing(reporting: Engine) -> None:
    """Neither tables nor views, nor make any of its own."""
    for statement in (
        "UPDATE reporting_tenants SET weight = 2",
        "DELETE FROM reporting_compute",
        "INSERT INTO tenants (id) VALUES ('x')",
        "CREATE TABLE mine (x int)",
    ):
        with reporting.connect() as connection, pytest.raises(sa.exc.DBAPIError):
            connection.exec_driver_sql(statement)


def test_it_sees_all_tenants_in_sums(reporting: Engine) -> None:
    """Row-level security does not hide them from the views."""
    with reporting.connect() as connection:
        tenants = connection.execute(sa.text("SELECT tenant FROM reporting_tenants")).scalars()
        ours = {name for name in tenants if name.startswith("told_")}  # copied ones are others'
        jobs = connection.execute(sa.text("SELECT tenant, n_jobs FROM reporting_jobs")).all()

    assert {"told_one", "told_two"} == {name.split("-")[0] for name in ours}
    assert 4 == sum(row.n_jobs for row in jobs if row.tenant in ours)


def test_the_gateway_s_role_has_no_view(database: Engine) -> None:
    """Tenants are told what they used over HTTP; the views name all tenants."""
    for role in ("talksplat_tenant", "talksplat_engine"):
        with database.connect() as connection:
            connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
            with pytest.raises(ProgrammingError, match="permission"):
                connection.execute(sa.text("SELECT * FROM reporting_tenants"))


def test_a_superuser_is_refused_as_the_dashboards_role(database_url: str) -> None:
    """It could read everything."""
    with pytest.raises(InvalidInput, match="TALKSPLAT_REPORTING_DATABASE_URL"):
        migrate_database(login_url(database_url), database_url, database_url)


def test_an_ordinary_owner_s_views_see_all_tenants(database_url: str) -> None:
    """Row-level security is forced on the owner of the tables too, if it is no superuser."""
    server = open_database(database_url).execution_options(isolation_level="AUTOCOMMIT")
    owner, name = "owner_of_tests", f"talksplat_test_{secrets.token_hex(4)}"
    secret = PASSWORD.replace("%", "%%")
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS {owner}")
        connection.exec_driver_sql(f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{secret}'")
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" OWNER {owner}')
    url = sa.make_url(database_url).set(database=name).render_as_string(hide_password=False)
    try:
        migrate_database(login_url(url), _as(url, owner), _as(url, REPORTER))
        gateway, reporter = open_database(login_url(url)), open_database(_as(url, REPORTER))
        World(gateway).add_tenant("one")
        with reporter.connect() as connection:
            n_seen = connection.execute(sa.text("SELECT count(*) FROM reporting_tenants")).scalar()
        gateway.dispose()
        reporter.dispose()
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
            connection.exec_driver_sql(f"DROP ROLE {owner}")
        server.dispose()

    assert 1 == n_seen
