"""Whether a full table slows anything down: ``python -m tests.load.table_size``.

Listing and dispatch are timed in turn on two databases, with 1,000 and with 100,000 jobs, half of
them finished, half of them waiting, of the same ten tenants.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from api.db import tables
from api.db.listings import list_jobs
from api.db.session import engine_work, tenant_work
from api.jobs.dispatcher import dispatch_ready
from api.jobs.job import JobStatus, parse_job
from api.jobs.use_cases import submit_job
from api.views.jobs import job_body
from tests.integration.servers import read_urls
from tests.load.burn_jobs import burn_job
from tests.load.site import Customer, Site, add_customers, open_site

SIZES = (1_000, 100_000)
N_CUSTOMERS = 10
ROUNDS = 200
N_WARM = 20
PAGE = 20

_COPY_JOBS = """
INSERT INTO jobs (id, tenant_id, kind, status, is_begun, resource_id, state, created_at, updated_at,
                  finished_at)
SELECT id || n, tenant_id, kind, CASE WHEN n % 2 = 0 THEN 'succeeded' ELSE status END, n % 2 = 0,
       resource_id,
       CAST(replace(CAST(state AS text), id, id || n) AS {json_type}),
       created_at - n * interval '1 second', updated_at,
       CASE WHEN n % 2 = 0 THEN updated_at END
FROM jobs, generate_series(1, :n) AS n WHERE jobs.id = :job_id
"""
_COPY_READY = """
INSERT INTO ready_stages (job_id, stage, tenant_id, service, queue_class, class_rank, is_new,
                          queued_at, not_before)
SELECT job_id || n, stage, tenant_id, service, queue_class, class_rank, is_new,
       queued_at - n * interval '1 second', not_before
FROM ready_stages, generate_series(1, :n, 2) AS n WHERE job_id = :job_id
"""


def main() -> int:
    """Measure and print; needs the servers of ``make services``."""
    urls = read_urls(os.environ)
    if urls is None:
        print("no servers: run make services first", file=sys.stderr)  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sites = {}
        for size in SIZES:
            site = stack.enter_context(open_site(urls, Path(folder) / str(size)))
            sites[size] = (site, fill_site(site, urls["TALKSPLAT_TEST_DATABASE_URL"], size))
        for what, medians in compare_sites(sites):
            few, many = (medians[size] * 1000 for size in SIZES)
            print(  # noqa: T201
                f"{what:9} {SIZES[0]:,} jobs {few:.2f} ms, {SIZES[1]:,} jobs {many:.2f} ms, "
                f"ratio {many / few:.2f}"
            )
    return 0


def compare_sites(
    sites: Mapping[int, tuple[Site, list[Customer]]],
) -> Iterator[tuple[str, dict[int, float]]]:
    """Median seconds by number of jobs, of each thing that is timed."""
    for what, prepare in (("list", _listing), ("dispatch", _dispatching)):
        actions = {size: prepare(*found) for size, found in sites.items()}
        seconds: dict[int, list[float]] = {size: [] for size in sites}
        for number in range(N_WARM + ROUNDS):
            for size, action in actions.items():
                began = time.perf_counter()
                action()
                if number >= N_WARM:
                    seconds[size].append(time.perf_counter() - began)
        yield what, {size: statistics.median(found) for size, found in seconds.items()}


def fill_site(site: Site, owner_url: str, n_jobs: int) -> list[Customer]:
    """Submit one job for each customer, and copy it until there are ``n_jobs``."""
    customers = add_customers(site, [f"customer-{n}" for n in range(N_CUSTOMERS)])
    n_copies = n_jobs // N_CUSTOMERS - 1
    for number, customer in enumerate(customers):
        job = burn_job(customer.tenant_id, 5 * number + 1, seed=1)  # all of the same kind
        with tenant_work(site.database, customer.tenant_id) as work:
            submit_job(work, job, job.created_at)
        with engine_work(site.database) as work:
            json_type = tables.jobs.c.state.type.compile(work.connection.dialect)
            given = {"n": n_copies, "job_id": job.job_id}
            copy = sa.text(_COPY_JOBS.format(json_type=json_type))
            work.connection.execute(copy, given)
            work.connection.execute(sa.text(_COPY_READY), given)
    owner = sa.create_engine(make_url(owner_url).set(database=site.database.url.database))
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    owner.dispose()
    return customers


def _listing(site: Site, customers: list[Customer]) -> Callable[[], None]:
    """A page as the route reads it."""
    turns = iter(range(1 << 30))

    def read() -> None:
        customer = customers[next(turns) % len(customers)]
        with tenant_work(site.database, customer.tenant_id, is_read_only=True) as work:
            rows = list_jobs(work, None, PAGE + 1)
            queued = list_jobs(work, None, PAGE + 1, status=JobStatus.queued)
        for row in (*rows, *queued):
            job_body(parse_job(row.state), "http://gateway", row.updated_at, None)

    return read


def _dispatching(site: Site, _customers: list[Customer]) -> Callable[[], None]:
    """One place becomes free in each service, and is filled."""
    headroom = iter(range(1, 1 << 30))

    def dispatch() -> None:
        assert dispatch_ready(site.database, datetime.now(UTC), headroom=next(headroom)) > 0

    return dispatch


if __name__ == "__main__":
    sys.exit(main())
