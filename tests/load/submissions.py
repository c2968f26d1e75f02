"""How fast submissions and listings are: ``python -m tests.load.submissions``.

Each figure stands beside a bare FastAPI route that does one INSERT through the same pool, measured
in turn with it in the same run.
"""

import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from api.db.records import UploadStatus
from api.db.resources import change_upload
from api.db.session import engine_work
from api.jobs.apply import apply_event, origin_at
from api.jobs.job import StageStatus
from tests.gateway_world import avatar_body, upload_body
from tests.integration.servers import read_urls
from tests.job_worlds import succeeded
from tests.load.evidence import read_jobs
from tests.load.http_calls import call
from tests.load.http_clients import MakeRequest, measure_clients, request_bytes
from tests.load.measured_gateway import BARE_PATH, BARE_TABLE
from tests.load.programs import Program, free_port, kept, wait_until_ready
from tests.load.site import Customer, Site, add_customers, open_site

N_CUSTOMERS = 8
CLIENTS = (1, 16, 64)
ROUNDS = 5
ROUND_SECONDS = 2.0


class Figure(NamedTuple):
    """One kind of request at one number of clients."""

    what: str
    n_clients: int
    per_second: float
    """Median of the rounds."""
    p50_ms: float
    p99_ms: float


def main() -> int:
    """Measure and print a table; needs the servers of ``make services``."""
    urls = read_urls(os.environ)
    if urls is None:
        print("no servers: run make services first", file=sys.stderr)  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory() as folder, open_site(urls, Path(folder) / "site") as site:
        figures = measure_site(site, urls["TALKSPLAT_TEST_DATABASE_URL"])
    print_figures(figures)
    return 0


def measure_site(site: Site, owner_url: str) -> list[Figure]:
    """All figures; every kind of request takes its turn in every round."""
    _make_bare_table(site, owner_url)
    with _gateway(site) as port:
        address = f"http://127.0.0.1:{port}"
        customers = add_customers(site, [f"customer-{n}" for n in range(N_CUSTOMERS)])
        kinds: Mapping[str, MakeRequest] = {
            "bare": _bare_requests(),
            "submit": _submissions([_prepare(site, address, each) for each in customers]),
            "list": _listings(customers),
        }
        return [figure for n in CLIENTS for figure in _measure(port, kinds, n)]


def print_figures(figures: Sequence[Figure]) -> None:
    """A table, with every figure's ratio to the bare route."""
    bare = {each.n_clients: each.per_second for each in figures if each.what == "bare"}
    print("request  clients  per second  ratio  p50 ms  p99 ms")  # noqa: T201
    for each in figures:
        ratio = each.per_second / bare[each.n_clients]
        print(  # noqa: T201
            f"{each.what:7}  {each.n_clients:7}  {each.per_second:10.1f}  {ratio:5.2f}"
            f"  {each.p50_ms:6.1f}  {each.p99_ms:6.1f}"
        )


def _measure(port: int, kinds: Mapping[str, MakeRequest], n: int) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {what: [] for what in kinds}
    latencies: dict[str, list[float]] = {what: [] for what in kinds}
    for make_request in kinds.values():
        measure_clients(port, make_request, n, 1.0)
    for _ in range(ROUNDS):
        for what, make_request in kinds.items():
            measured = measure_clients(port, make_request, n, ROUND_SECONDS)
            rates[what].append(measured.per_second)
            latencies[what] += measured.latencies
    for what in kinds:
        cuts = statistics.quantiles(latencies[what], n=100)
        yield Figure(what, n, statistics.median(rates[what]), 1000 * cuts[49], 1000 * cuts[98])


def _bare_requests() -> MakeRequest:
    request = request_bytes("POST", BARE_PATH, json.dumps({"name": "Greeting"}).encode())
    return lambda: request


def _submissions(prepared: Sequence[tuple[Customer, bytes]]) -> MakeRequest:
    numbers = itertools.count()

    def make_request() -> bytes:
        number = next(numbers)
        customer, body = prepared[number % len(prepared)]
        return request_bytes(
            "POST",
            "/v1/videos",
            body,
            authorization=f"Bearer {customer.token}",
            idempotency_key=f"load-{number}",
        )

    return make_request


def _listings(customers: Sequence[Customer]) -> MakeRequest:
    turns = itertools.cycle(
        request_bytes("GET", "/v1/jobs", authorization=f"Bearer {each.token}") for each in customers
    )
    return lambda: next(turns)


def _prepare(site: Site, address: str, customer: Customer) -> tuple[Customer, bytes]:
    """Give a customer an avatar; the body with which videos of it are asked for."""
    capture, speech = (_upload(site, address, customer, what) for what in ("capture", "speech"))
    avatar = call(
        address,
        customer.token,
        "POST",
        "/v1/avatars",
        avatar_body(capture),
        {"idempotency-key": "first"},
    )
    _finish_job(site, avatar["job_id"])
    body = {"name": "Greeting", "avatar_id": avatar["avatar_id"], "speech_upload_id": speech}
    return customer, json.dumps(body).encode()


def _upload(site: Site, address: str, customer: Customer, purpose: str) -> str:
    """An upload that counts as verified."""
    answer = call(address, customer.token, "POST", "/v1/uploads", upload_body(purpose))
    upload_id: str = answer["upload_id"]
    verified = {"status": UploadStatus.ready.value, "facts": {"duration_seconds": 15.0}}
    with engine_work(site.database) as work:
        change_upload(work, upload_id, verified)
    return upload_id


def _finish_job(site: Site, job_id: str) -> None:
    """Report the success of every stage that the gateway sends, until the job is done."""
    while True:
        (job,) = (each for each in read_jobs(site) if each.job_id == job_id)
        if job.is_terminal:
            return
        for stage in job.stages:
            if stage.status is StageStatus.dispatched:
                event = succeeded(job, stage.name)
                with engine_work(site.database) as work:
                    apply_event(work, job_id, event, origin_at(datetime.now(UTC)))
        time.sleep(0.1)


def _make_bare_table(site: Site, owner_url: str) -> None:
    gateway = site.database.url
    owner = sa.create_engine(make_url(owner_url).set(database=gateway.database))
    with owner.begin() as connection:
        connection.execute(
            sa.text(f"CREATE TABLE {BARE_TABLE} (id varchar(64) PRIMARY KEY, name varchar(200))")
        )
        connection.execute(sa.text(f'GRANT INSERT ON {BARE_TABLE} TO "{gateway.username}"'))
    owner.dispose()


@contextmanager
def _gateway(site: Site) -> Iterator[int]:
    port = free_port()
    program = Program(
        "gateway",
        [str(port)],
        site.settings,
        site.folder,
        program=(sys.executable, "-m", "tests.load.measured_gateway"),
    )
    with kept([program]):
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield port


if __name__ == "__main__":
    sys.exit(main())
