"""Operators look at jobs and move them from the command line."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.db import tables
from api.jobs.job import Job
from services.embedded.cli import FAILED, run_command
from tests.engine_world import World, sqlite_database
from tests.job_worlds import failed, started

Tell = Callable[..., Any]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A database that the commands find."""
    monkeypatch.setenv("TALKSPLAT_DATABASE_URL", f"sqlite:///{tmp_path / 'talksplat.db'}")
    opened = World(sqlite_database(tmp_path))
    opened.workers()
    yield opened
    opened.database.dispose()


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """``talksplat jobs …``; what it printed as JSON."""

    def tell(*words: str) -> Any:  # noqa: ANN401 - any JSON value
        assert run_command(["jobs", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return tell


def _fail(world: World, tenant: str) -> Job:
    """A job whose first stage was refused."""
    job = world.submit(tenant)
    (command, *_) = world.send()
    world.report(started(world.job(job.job_id), command.stage))
    world.report(failed(world.job(job.job_id), command.stage, is_retryable=False))
    return job


def test_jobs_are_listed_by_tenant_and_status(world: World, tell: Tell) -> None:
    """With the stage at which each stands, and why one has failed."""
    mine, theirs = world.add_tenant("mine"), world.add_tenant("theirs")
    broken = _fail(world, mine)
    waiting = world.submit(theirs)

    (failed_job,) = tell("list", "--status", "failed")
    of_theirs = tell("list", "--tenant", theirs)

    assert (broken.job_id, "no_face") == (failed_job["job_id"], failed_job["code"])
    assert [waiting.job_id] == [job["job_id"] for job in of_theirs]
    assert 2 == len(tell("list"))


def test_a_job_shows_its_stages(world: World, tell: Tell) -> None:
    """Who runs each, in which attempt."""
    job = world.submit(world.add_tenant("mine"))
    (command, *_) = world.send()
    world.report(started(world.job(job.job_id), command.stage))

    shown = tell("show", job.job_id)

    stage = next(each for each in shown["stages"] if each["stage"] == command.stage)
    assert ("running", 1) == (stage["status"], stage["attempt"])
    assert stage["worker"]


def test_a_failed_job_is_retried_in_its_tenant_s_name(world: World, tell: Tell) -> None:
    """It takes a place among the tenant's open jobs."""
    tenant = world.add_tenant("mine")
    job = _fail(world, tenant)

    (after,) = tell("retry", job.job_id)

    assert after["status"] in {"queued", "running"}
    assert 1 == world.standing(tenant)[0]


def test_an_attempt_is_given_up_without_being_spent(world: World, tell: Tell) -> None:
    """Another is sent; the worker that has it is told to stop when it reports."""
    job = world.submit(world.add_tenant("mine"))
    (command, *_) = world.send()
    first = started(world.job(job.job_id), command.stage)
    world.report(first)

    tell("requeue", job.job_id)
    world.now = max(world.now, datetime.now(UTC))  # the command goes by the machine's clock

    (again, *_) = world.send()
    assert (command.stage, 2) == (again.stage, again.attempt)
    assert 0 == world.stage(job, command.stage).n_spent
    assert "requeued" in [line.data.get("code") for line in world.log(job)]


def test_a_job_is_canceled(world: World, tell: Tell) -> None:
    """One that nobody has begun ends at once."""
    job = world.submit(world.add_tenant("mine"))

    (after,) = tell("cancel", job.job_id)

    assert "canceled" == after["status"]


@pytest.mark.parametrize(
    "words", [["show", "job_no"], ["cancel", "job_no"], ["retry", "job_no"], ["requeue", "job_no"]]
)
def test_what_is_not_there_is_told(world: World, words: list[str]) -> None:
    """With a code."""
    assert [] == world.rows(tables.jobs)
    assert run_command(["jobs", *words]) == FAILED


def test_people_read_tables(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json."""
    job = world.submit(world.add_tenant("mine"))

    assert [0, 0] == [run_command(["jobs", *words]) for words in (["list"], ["show", job.job_id])]
    assert job.job_id in capsys.readouterr().out
