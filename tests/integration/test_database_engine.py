"""The engine's rules on PostgreSQL, and what several gateways do to each other."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

from api.db import tables
from api.db.session import tenant_work
from api.jobs import use_cases
from api.jobs.dispatcher import dispatch_ready
from api.jobs.job import JobStatus
from api.jobs.outbox import send_letters
from shared.contracts.event import StageEvent
from shared.errors import InvalidInput
from tests.deletion_rules import DeletionRules
from tests.engine_rules import ONE, EngineRules
from tests.engine_world import World
from tests.integration.databases import copied_database, migrate_template
from tests.job_worlds import failed, progress, started, succeeded

T = TypeVar("T")


@pytest.fixture(scope="module")
def template(database_url: str) -> str:
    """A migrated database, as its owner."""
    migrate_template(database_url)
    return database_url


@pytest.fixture
def world(template: str) -> Iterator[World]:
    """An engine on an empty database."""
    with copied_database(template) as database:
        yield World(database)


class TestEngineOnPostgresql(EngineRules):
    """Jobs."""


class TestDeletionsOnPostgresql(DeletionRules):
    """Uploads, avatars and videos."""


def _call(acts: Sequence[Callable[[], None]], index: int) -> None:
    acts[index]()


def _at_once(n: int, act: Callable[[int], T]) -> list[T]:
    """Results of ``n`` threads that begin together."""
    together = threading.Barrier(n)

    def begin(index: int) -> T:
        together.wait()
        return act(index)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


def test_two_consumers_accept_one_result(world: World) -> None:
    """Events of one job, in any order, at two gateways at once: one of each counts."""
    job = world.submit(world.add_tenant("a"), ONE)
    world.send()
    job = world.job(job.job_id)
    events: list[StageEvent] = [
        started(job, "only"),
        *(progress(job, "only", n / 10, sequence=n) for n in range(1, 9)),
        succeeded(job, "only"),
    ]
    _at_once(4, lambda n: world.report(*(events if n % 2 else reversed(events))))

    assert JobStatus.succeeded is world.job(job.job_id).status
    types = [line.type for line in world.log(job)]
    assert (1, 1) == (types.count("job.succeeded"), types.count("job.running"))
    assert list(range(1, len(types) + 1)) == [line.sequence for line in world.log(job)]
    assert [300] == [row["stored_bytes"] for row in world.rows(tables.tenant_usage)]


def test_success_and_failure_at_once_give_one_of_them(world: World) -> None:
    """And the job agrees with its account."""
    tenant = world.add_tenant("a")
    for _ in range(5):
        job = world.submit(tenant, ONE)
        world.send()
        job = world.job(job.job_id)
        good, bad = succeeded(job, "only"), failed(job, "only", is_retryable=False)
        reports = [partial(world.report, end) for end in (good, bad)]
        _at_once(2, partial(_call, reports))
        assert world.job(job.job_id).is_terminal

    n_good = sum(row["status"] == "succeeded" for row in world.rows(tables.jobs))
    assert (0, 300 * n_good) == world.standing(tenant)


def test_two_dispatchers_send_each_stage_once(world: World) -> None:
    """Never more than there are slots."""
    tenant = world.add_tenant("a")
    for _ in range(30):
        world.submit(tenant, ONE)
    world.workers(slots=10)
    n_sent = sum(_at_once(4, lambda _n: dispatch_ready(world.database, world.now)))

    assert 10 == n_sent == len(world.rows(tables.attempts))


def test_two_senders_send_each_letter_once(world: World) -> None:
    """A letter that one gateway holds is skipped by the other."""
    tenant = world.add_tenant("a")
    for _ in range(30):
        world.submit(tenant, ONE)
    world.workers(slots=30)
    dispatch_ready(world.database, world.now)
    n_sent = sum(_at_once(3, lambda _n: send_letters(world.database, world.broker)))
    while send_letters(world.database, world.broker):
        pass

    assert n_sent <= 30
    assert 30 == len({command.job_id for command in world.broker.sent}) == len(world.broker.sent)


def test_submissions_at_once_stay_within_the_quota(world: World) -> None:
    """However many come together."""
    tenant = world.add_tenant("a", max_open_jobs=5)

    def submit(_n: int) -> int:
        try:
            world.submit(tenant, ONE)
        except InvalidInput:
            return 0
        return 1

    assert 5 == sum(_at_once(8, submit)) == len(world.rows(tables.jobs))


def test_canceling_while_it_ends_settles_on_one_end(world: World) -> None:
    """Whoever comes first; nobody waits for ever."""
    tenant = world.add_tenant("a")
    job = world.submit(tenant, ONE)
    world.send()
    world.report(started(world.job(job.job_id), "only"))
    current = world.job(job.job_id)

    def end(index: int) -> None:
        if index:
            world.report(succeeded(current, "only"))
            return
        with tenant_work(world.database, tenant) as work:
            try:
                use_cases.cancel_job(work, job.job_id, world.now)
            except InvalidInput as error:
                assert error.code == "job_finished"  # noqa: PT017 - it came too late

    _at_once(2, end)

    assert world.job(job.job_id).status in {JobStatus.succeeded, JobStatus.canceled}
    assert 0 == world.standing(tenant)[0]
