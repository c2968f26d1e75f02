"""What is left of interrupted work when the one-process platform starts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.db import tables
from api.jobs.dispatcher import dispatch_ready
from api.jobs.job import StageStatus
from api.jobs.restart import begin_again
from tests.engine_world import World, sqlite_database
from tests.job_worlds import started


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An engine on an empty database, with one worker of each service."""
    database = sqlite_database(tmp_path)
    world = World(database)
    world.workers(slots=2)
    yield world
    database.dispose()


def test_what_ran_and_what_was_on_its_way_begins_again(world: World) -> None:
    """A stage that ran, and one whose order was not even sent, get new attempts."""
    tenant = world.add_tenant("a")
    ran, unsent = world.submit(tenant), world.submit(tenant)
    dispatch_ready(world.database, world.now)
    world.report(started(ran, "a", attempt=1))

    n = begin_again(world.database, world.now)

    assert 2 == n
    assert not world.rows(tables.outbox)
    assert not world.rows(tables.workers)
    world.workers(slots=2)
    again = world.send()
    assert {(ran.job_id, 2), (unsent.job_id, 2)} == {(c.job_id, c.attempt) for c in again}


def test_what_waited_or_had_succeeded_stays(world: World) -> None:
    """Only attempts under way are concerned."""
    job = world.submit(world.add_tenant("a"))
    world.work_off(world.send())

    assert 0 == begin_again(world.database, world.now)
    assert StageStatus.succeeded == world.stage(job, "a").status
    assert StageStatus.ready == world.stage(job, "b").status
