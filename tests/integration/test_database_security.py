"""Row-level security: what holds even if a query forgets its filter."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError

from api.db.migrate import check_database, migrate_database
from api.db.session import engine_work, open_database, tenant_work
from api.db.tables import TENANT_TABLES, metadata
from shared.errors import InvalidInput, Unavailable
from tests.engine_rules import ONE
from tests.engine_world import World
from tests.integration.databases import copied_database, login_url, migrate_template


@pytest.fixture(scope="module")
def template(database_url: str) -> str:
    """A migrated database, as its owner."""
    migrate_template(database_url)
    return database_url


@pytest.fixture(scope="module")
def database(template: str) -> Iterator[Engine]:
    """A database as the gateway sees it."""
    with copied_database(template) as copy:
        yield copy


@pytest.fixture(scope="module")
def world(database: Engine) -> World:
    """Two tenants with a finished and a queued job each."""
    world = World(database)
    for name in ("mine", "theirs"):
        tenant = world.add_tenant(name)
        world.submit(tenant)
        world.run_everything()
        world.submit(tenant, ONE)
    return world


def _tenants(world: World) -> tuple[str, str]:
    mine, theirs = sorted(world.rows(metadata.tables["tenants"]), key=lambda row: row["name"])
    return mine["id"], theirs["id"]


def test_every_table_of_tenants_forces_a_policy(database: Engine) -> None:
    """Whoever adds a table with tenant_id adds its policies too."""
    query = sa.text(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,"
        " array(SELECT r.rolname::text FROM pg_policy p, pg_roles r"
        "       WHERE p.polrelid = c.oid AND r.oid = ANY (p.polroles) ORDER BY 1)"
        " FROM pg_class c WHERE c.relkind = 'r' AND (c.relname = 'tenants' OR EXISTS"
        " (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'))"
    )
    with engine_work(database) as work:
        found = {name: (forced, roles) for name, forced, roles in work.connection.execute(query)}

    both = ["talksplat_engine", "talksplat_tenant"]
    assert dict.fromkeys(TENANT_TABLES, (True, both)) == found


def test_policies_check_what_is_written_too(database: Engine) -> None:
    """USING and WITH CHECK are the same."""
    query = sa.text("SELECT tablename, qual, with_check FROM pg_policies")
    with engine_work(database) as work:
        rows = list(work.connection.execute(query))

    assert len(rows) == 2 * len(TENANT_TABLES)
    assert [] == [name for name, using, check in rows if using != check]


@pytest.mark.parametrize("table", sorted(TENANT_TABLES))
def test_a_tenant_sees_its_own_rows_only(world: World, table: str) -> None:
    """Though the query asks for all."""
    mine, _ = _tenants(world)
    with tenant_work(world.database, mine) as work:
        column: sa.ColumnClause[str] = sa.column(TENANT_TABLES[table])
        owners = set(
            work.connection.execute(sa.select(column).select_from(sa.table(table))).scalars()
        )

    assert owners <= {mine}


@pytest.mark.parametrize("tenant", ["", "ten_unknown"])
def test_without_a_tenant_there_is_nothing(world: World, tenant: str) -> None:
    """It fails closed."""
    for table in TENANT_TABLES:
        with tenant_work(world.database, tenant) as work:
            counted = sa.select(sa.func.count()).select_from(sa.table(table))
            assert 0 == work.connection.execute(counted).scalar_one(), table


def test_a_setting_does_not_outlive_its_transaction(world: World) -> None:
    """A pooled connection carries nothing over to the next request."""
    mine, _ = _tenants(world)
    database = open_database(world.database.url.render_as_string(hide_password=False), pool_size=1)
    with tenant_work(database, mine) as work:
        work.connection.execute(sa.text("SELECT 1"))
    with database.connect() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE talksplat_tenant")
        n_seen = connection.execute(sa.text("SELECT count(*) FROM jobs")).scalar_one()
    database.dispose()

    assert 0 == n_seen


def test_the_login_role_alone_may_do_nothing(database: Engine) -> None:
    """Without taking a role not even reading."""
    for table in metadata.tables:
        with database.connect() as connection, pytest.raises(ProgrammingError, match="permission"):
            connection.execute(sa.select(sa.literal(1)).select_from(metadata.tables[table]))


def test_roles_own_nothing_and_pass_over_nothing(database: Engine) -> None:
    """Neither superuser, nor owner, nor past row-level security; none can make roles."""
    names = sa.text(
        "SELECT rolname FROM pg_roles WHERE (rolname LIKE 'talksplat%') AND"
        " (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolinherit)"
    )
    owners = sa.text("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    with engine_work(database) as work:
        strong = list(work.connection.execute(names).scalars())
        owning = list(work.connection.execute(owners).scalars())
        current, session = work.connection.execute(
            sa.text("SELECT current_user, session_user")
        ).one()

    assert [] == strong
    assert "talksplat_engine" == current
    assert session not in owning
    assert not any(name.startswith("talksplat") for name in owning)


def test_foreign_rows_cannot_be_written(world: World) -> None:
    """Neither changed, nor deleted, nor given away, nor made in another's name."""
    mine, theirs = _tenants(world)
    with tenant_work(world.database, mine) as work:
        for statement in (
            "UPDATE jobs SET status = 'failed' WHERE tenant_id = :theirs",
            "DELETE FROM ready_stages WHERE tenant_id = :theirs",
            "UPDATE tenant_usage SET n_open_jobs = 0 WHERE tenant_id = :theirs",
        ):
            done = work.connection.execute(sa.text(statement), {"theirs": theirs})
            assert 0 == done.rowcount
    for statement in (
        "UPDATE jobs SET tenant_id = :theirs",
        "INSERT INTO usage (tenant_id, month, service) VALUES (:theirs, '2026-11', 'x')",
        "INSERT INTO shares (tenant_id, service, virtual_time) VALUES (:theirs, 'x', 0)",
    ):
        with (
            pytest.raises(DBAPIError, match="row-level security"),
            tenant_work(world.database, mine) as work,
        ):
            work.connection.execute(sa.text(statement), {"theirs": theirs})


def test_a_tenant_cannot_change_its_own_quotas(world: World) -> None:
    """Tenants are the operator's to change."""
    mine, _ = _tenants(world)
    with (
        pytest.raises(DBAPIError, match="permission denied"),
        tenant_work(world.database, mine) as work,
    ):
        work.connection.execute(sa.text("UPDATE tenants SET weight = 100"))


def test_evidence_cannot_be_changed_by_anybody(world: World) -> None:
    """Consents are append-only, for the engine too."""
    for table in ("consents", "consent_uses", "consent_revocations"):
        with (
            pytest.raises(DBAPIError, match=r"permission denied|append-only"),
            engine_work(world.database) as work,
        ):
            work.connection.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608 - our own names


def test_migrations_make_what_the_tables_say(template: str) -> None:
    """The schema in the database and in ``tables.py`` are one."""
    owner = open_database(template)
    with owner.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    owner.dispose()

    assert [] == differences


def test_migrating_again_changes_nothing(template: str, database: Engine) -> None:
    """And the gateway knows whether its database is up to date."""
    revision = migrate_database(login_url(template), template)
    check_database(database)

    assert revision == migrate_database(login_url(template), template)


def test_an_empty_database_is_not_ready(database_url: str) -> None:
    """``/readyz`` tells to migrate; a server that is not there is told too."""
    gone = open_database(database_url.rsplit("/", 1)[0] + "/talksplat_test_nowhere")
    with pytest.raises(Unavailable, match="does not answer"):
        check_database(gone)
    gone.dispose()


def test_a_superuser_is_refused_as_the_gateway_s_role(template: str) -> None:
    """It would pass over row-level security."""
    owner = sa.make_url(template)
    engine = open_database(template)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS talksplat_strong")
        connection.exec_driver_sql("CREATE ROLE talksplat_strong SUPERUSER LOGIN")
    strong = owner.set(username="talksplat_strong", password="x")  # noqa: S106 - a test's role
    try:
        with pytest.raises(InvalidInput, match="superuser"):
            migrate_database(strong.render_as_string(hide_password=False), template)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP ROLE talksplat_strong")
        engine.dispose()
