"""What users feel of the platform: fair turns, quick cancels, stalls that are noticed.

A gateway and workers as real processes, on the real servers, with stages that burn CPU.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from api.db import tables
from api.db.session import engine_work, tenant_work
from api.jobs.job import Job, job_prefix
from api.jobs.plan import StageSpec
from api.jobs.use_cases import submit_job
from tests.load.burn_jobs import ENTRY, input_key, make_job
from tests.load.http_calls import call
from tests.load.programs import kept, wait_until_ready
from tests.load.site import (
    Customer,
    Site,
    add_customers,
    gateway_program,
    open_site,
    worker_programs,
)

WORKERS = {"renderer": 2, "evaluator": 1}
CANCEL_SECONDS = 5.0
STALL_SECONDS = 120.0


def _spec(name: str, service: str = "renderer", source: str = "job:input") -> StageSpec:
    return StageSpec(name=name, service=service, entry=ENTRY, inputs={"input": source})


PLANS = {
    "one": lambda _options: (_spec("only"),),
    "three": lambda _options: (
        _spec("first"),
        _spec("second", source="stage:first"),
        _spec("third", source="stage:second"),
    ),
    "hanging": lambda _options: (_spec("only", "evaluator"),),
}


@dataclass
class Platform:
    """A running platform and three of its customers."""

    site: Site
    address: str
    many: Customer
    one: Customer
    patient: Customer

    def submit(self, customer: Customer, kind: str, **options: dict[str, Any]) -> Job:
        """Submit a job of a kind of ours, as the gateway does."""
        key = input_key(customer.tenant_id, 0)
        job = make_job(customer.tenant_id, kind, key, options, PLANS)
        with tenant_work(self.site.database, customer.tenant_id) as work:
            return submit_job(work, job, job.created_at)

    def show(self, customer: Customer, job: Job) -> dict[str, Any]:
        """The job over HTTP."""
        return call(self.address, customer.token, "GET", f"/v1/jobs/{job.job_id}")

    def wait_for(
        self,
        customer: Customer,
        job: Job,
        condition: Callable[[dict[str, Any]], bool],
        seconds: float = 120,
    ) -> dict[str, Any]:
        """The job as soon as ``condition`` holds of it."""
        until = time.monotonic() + seconds
        while not condition(shown := self.show(customer, job)):
            assert time.monotonic() < until, shown
            time.sleep(0.1)
        return shown

    def attempts(self, *where: sa.ColumnElement[bool]) -> list[datetime]:
        """When the attempts were taken up by workers."""
        columns = tables.attempts.c
        query = sa.select(columns.started_at).where(*where).order_by(columns.started_at)
        with engine_work(self.site.database, is_read_only=True) as work:
            return list(work.connection.execute(query).scalars())

    def n_objects(self, job: Job) -> int:
        """What the store holds of a job."""
        prefix = job_prefix(job.tenant_id, job.job_id)
        return sum(1 for _ in self.site.store.list_objects(prefix))


@pytest.fixture(scope="module")
def site(server_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place of our own on the servers."""
    with open_site(server_urls, tmp_path_factory.mktemp("promises") / "site") as opened:
        yield opened


@pytest.fixture(scope="module")
def platform(site: Site) -> Iterator[Platform]:
    """Started before the first test, stopped after the last."""
    many, one, patient = add_customers(site, ["many", "one", "patient"])
    for customer in (many, one, patient):
        site.store.put_bytes(input_key(customer.tenant_id, 0), b"input")
    gateway, address = gateway_program(site)
    with kept([gateway, *worker_programs(site, WORKERS)]):
        wait_until_ready(address)
        yield Platform(site, address, many, one, patient)


@pytest.fixture(scope="module")
def hanging(platform: Platform) -> tuple[Job, float]:
    """A job that is taken up and does not get on, and when that was seen; it hangs meanwhile."""
    job = platform.submit(platform.patient, "hanging", only={"fault": "hang"})
    platform.wait_for(platform.patient, job, lambda shown: shown["status"] == "running")
    return job, time.monotonic()


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("stage", ["first", "second", "third"])
def test_a_cancel_takes_five_seconds_at_any_stage(platform: Platform, stage: str) -> None:
    """The worker is free again, and nothing that was made is left."""
    options = {name: {"seconds": 0.1} for name in ("first", "second", "third")}
    options[stage] = {"seconds": 120.0, "steps": 400}
    job = platform.submit(platform.one, "three", **options)
    platform.wait_for(
        platform.one,
        job,
        lambda shown: shown["stage"] == stage and platform.n_objects(job) > 0,
    )
    asked_at = time.monotonic()
    call(platform.address, platform.one.token, "POST", f"/v1/jobs/{job.job_id}/cancel")
    platform.wait_for(
        platform.one, job, lambda shown: shown["status"] == "canceled", CANCEL_SECONDS
    )
    while platform.n_objects(job) or list(platform.site.work_dir.glob("stage-*"))[1:]:
        assert time.monotonic() < asked_at + CANCEL_SECONDS
        time.sleep(0.1)


@pytest.mark.usefixtures("hanging")
def test_a_thousand_queued_jobs_delay_another_customer_by_one_job_per_worker(
    platform: Platform,
) -> None:
    """The single job is the next that any worker takes up."""
    for _ in range(1000):
        platform.submit(platform.many, "one", only={"seconds": 0.3})
    of_many = tables.attempts.c.tenant_id == platform.many.tenant_id
    until = time.monotonic() + 120
    while len(platform.attempts(of_many, tables.attempts.c.status == "succeeded")) < 4:
        assert time.monotonic() < until
        time.sleep(0.1)
    job = platform.submit(platform.one, "one", only={"seconds": 0.3})
    platform.wait_for(platform.one, job, lambda shown: shown["status"] == "succeeded")
    (started_at,) = platform.attempts(tables.attempts.c.job_id == job.job_id)
    before = platform.attempts(
        of_many,
        tables.attempts.c.started_at >= job.created_at,
        tables.attempts.c.started_at < started_at,
    )

    assert len(before) <= WORKERS["renderer"]


def test_a_stall_is_noticed_within_two_minutes(
    platform: Platform, hanging: tuple[Job, float]
) -> None:
    """A stage that lives and does not get on is shown as stalled, and can still be canceled."""
    job, began = hanging
    platform.wait_for(
        platform.patient,
        job,
        lambda shown: shown["stages"][0]["is_stalled"],
        began + STALL_SECONDS - time.monotonic(),
    )
    call(platform.address, platform.patient.token, "POST", f"/v1/jobs/{job.job_id}/cancel")
    platform.wait_for(
        platform.patient, job, lambda shown: shown["status"] == "canceled", CANCEL_SECONDS
    )
