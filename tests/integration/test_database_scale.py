"""Listing and dispatch cost the same with a hundred thousand jobs as with a thousand.

Counted are pages of tables and indexes that PostgreSQL touches: unlike times, they do not depend on
what else the machine does. ``make load`` takes the times.
"""

import re
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.db import listings
from api.db.session import engine_work, open_database, tenant_work
from api.db.tables import tenants
from api.db.unit_of_work import UnitOfWork
from api.jobs.choose_next import choose_next
from api.jobs.dispatcher import read_snapshot
from tests.engine_rules import ONE
from tests.engine_world import World
from tests.integration.databases import copied_database, migrate_template

FEW, MANY = 1_000, 100_000
_LISTED, _INDEX_PAGES = 50, 5
_COPY_JOBS = """
INSERT INTO jobs SELECT 'job_' || n, tenant_id, kind, status, is_begun, resource_id,
 jsonb_set(state, '{job_id}', to_jsonb('job_' || n)), version,
 created_at + n * interval '1 ms', updated_at, finished_at
FROM (SELECT *, row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS n_rows FROM jobs
 WHERE id LIKE 'job\\_0%') AS jobs
JOIN generate_series(:first, :last) AS n ON n % n_rows = place - 1
"""
_COPY_READY = """
INSERT INTO ready_stages SELECT jobs.id, 'only', jobs.tenant_id, 'renderer', 'batch', 1, 1,
 jobs.created_at, jobs.created_at FROM jobs LEFT JOIN ready_stages ON job_id = jobs.id
WHERE job_id IS NULL
"""


@pytest.fixture
def owner_and_world(database_url: str) -> Iterator[tuple[Engine, World]]:
    """A world of twenty tenants, and the owner of its database."""
    migrate_template(database_url)
    with copied_database(database_url) as database:
        owner_url = sa.make_url(database_url).set(database=database.url.database)
        owner = open_database(owner_url.render_as_string(hide_password=False))
        world = World(database)
        for number in range(20):
            world.submit(world.add_tenant(f"t{number}", max_open_jobs=10**6), ONE)
        yield owner, world
        owner.dispose()


def _grow(owner: Engine, first: int, last: int) -> None:
    """Copy the jobs that are there until there are ``last``."""
    with owner.begin() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE talksplat_engine")
        connection.execute(sa.text(_COPY_JOBS), {"first": first, "last": last})
        connection.execute(sa.text(_COPY_READY))
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        counted = connection.execute(sa.text("SELECT count(*) FROM ready_stages")).scalar_one()
    assert last < counted < last + 30


def _pages(database: Engine, act: Callable[[], object]) -> int:
    """Pages that the reading statements of ``act`` touch."""
    touched = []

    def explain(*event: object) -> None:
        cursor, statement, parameters = event[1], str(event[2]), event[3]
        if not statement.startswith(("SELECT", "WITH")) or "set_config" in statement:
            return
        probe = cursor.connection.cursor()  # type: ignore[attr-defined] # psycopg2's
        probe.execute("EXPLAIN (ANALYZE, BUFFERS) " + statement, parameters)
        plan = "\n".join(row[0] for row in probe.fetchall())
        first = re.search(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?", plan)
        touched.append(sum(int(n or 0) for n in first.groups()) if first else 0)

    act()  # plans and caches
    sa.event.listen(database, "before_cursor_execute", explain)
    act()
    sa.event.remove(database, "before_cursor_execute", explain)
    return sum(touched)


def test_a_hundred_times_as_many_jobs_cost_the_same(
    owner_and_world: tuple[Engine, World],
) -> None:
    """A listing touches a page for each row at most; choosing gains a level of the index's tree."""
    owner, world = owner_and_world
    tenant = min(row["id"] for row in world.rows(tenants))
    world.pass_time(3600)
    world.workers(slots=3, services=["renderer"])

    def read(what: Callable[[UnitOfWork], object]) -> Callable[[], object]:
        def act() -> object:
            with tenant_work(world.database, tenant, is_read_only=True) as work:
                return what(work)

        return act

    def choose() -> object:
        with engine_work(world.database, is_read_only=True) as work:
            return choose_next(read_snapshot(work, world.now))

    acts = {
        "list": read(lambda work: listings.list_jobs(work, None, _LISTED)),
        "list queued": read(lambda work: listings.list_jobs(work, None, _LISTED, status="queued")),
        "choose": choose,
    }
    _grow(owner, 1, FEW)
    few = {name: _pages(world.database, act) for name, act in acts.items()}
    _grow(owner, FEW + 1, MANY)
    many = {name: _pages(world.database, act) for name, act in acts.items()}

    assert max(many["list"], many["list queued"]) <= max(_LISTED, few["list"]) + _INDEX_PAGES
    assert many["choose"] <= 1.5 * few["choose"]
