"""``min_quality``: from the request to the failure that shows the scores."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.db.session import engine_work
from api.jobs.apply import apply_event, origin_at
from api.jobs.job import Job, JobStatus, StageStatus, dump_job, parse_job
from api.jobs.signals import Announce, Dispatch, JobSignal, RemoveFolder, WorkerEvent
from api.jobs.state_machine import Advance, advance
from shared.contracts.event import Fact
from shared.contracts.scores import QUALITY_BELOW
from tests.gateway_world import START, Account, World, avatar_body, open_world
from tests.job_worlds import make_job, started, succeeded

FACTS: dict[str, Fact] = {
    "n_frames": 82,
    "psnr": 27.5,
    "lmd": 1.9,
    "lse_c": None,
    QUALITY_BELOW: "psnr is 27.50 dB, at least 30 is wanted",
}


@pytest.fixture
def opened() -> Iterator[tuple[World, TestClient, Account, str]]:
    """A gateway, its client with a key, the account, and a ready capture."""
    with open_world() as (world, client):
        account = world.add_account("a")
        client.headers.update(account.headers)
        yield world, client, account, world.add_upload(client, account)


def finish(job: Job, stage: str, facts: Mapping[str, Fact]) -> Advance:
    """Dispatch a stage and have its worker end it well."""
    job = advance(job, Dispatch(stage), START).job
    job = advance(job, started(job, stage), START).job
    return advance(job, succeeded(job, stage).model_copy(update={"facts": facts}), START)


def test_a_stage_that_tells_of_low_quality_fails_its_job() -> None:
    """At once, with the figures; what it stored is removed, as of any attempt that failed."""
    ended = finish(make_job(), "a", FACTS)

    assert JobStatus.failed is ended.job.status
    stage, failure = ended.job.stage("a"), ended.job.failure
    assert stage is not None
    assert failure is not None
    assert (StageStatus.failed, None) == (stage.status, stage.output)
    assert ("quality_below", False, "a") == (failure.code, failure.retryable, failure.stage)
    assert {"psnr": 27.5, "lmd": 1.9} == failure.scores
    assert "at least 30 is wanted" in failure.message
    folders = [c.prefix for c in ended.commands if isinstance(c, RemoveFolder)]
    assert "tenants/ten_1/jobs/job_1/a/1/" in folders
    (line,) = [c for c in ended.commands if isinstance(c, Announce) and c.type == "job.failed"]
    assert {"psnr": 27.5, "lmd": 1.9} == line.data["scores"]
    assert parse_job(dump_job(ended.job)) == ended.job


def test_good_figures_are_a_success() -> None:
    """Without the fact, figures are only figures."""
    facts = {name: value for name, value in FACTS.items() if name != QUALITY_BELOW}

    stage = finish(make_job(), "a", facts).job.stage("a")

    assert stage is not None
    assert StageStatus.succeeded is stage.status


def test_jobs_stored_before_bars_existed_are_still_read() -> None:
    """A failure without scores."""
    stored = dump_job(finish(make_job(), "a", FACTS).job)
    del stored["failure"]["scores"]

    failure = parse_job(stored).failure

    assert failure is not None
    assert {} == failure.scores


def test_an_avatar_below_its_bars_is_not_made(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """The bars reach the stage that scores, and its figures the caller."""
    world, client, _, capture = opened
    options = {"holdout_seconds": 3.0, "min_quality": {"psnr": 30, "lmd": 2.2}}
    body = {**avatar_body(capture), "options": options}
    made = client.post("/v1/avatars", json=body, headers={"Idempotency-Key": "k"}).json()

    job = run_to_its_end(world, made["job_id"])

    asked = job.options["score"]["min_quality"]
    shown = client.get(f"/v1/jobs/{made['job_id']}").json()
    assert {"psnr": 30, "lmd": 2.2} == asked
    assert ("failed", "quality_below") == (shown["status"], shown["failure"]["code"])
    assert {"psnr": 27.5, "lmd": 1.9} == shown["failure"]["scores"]
    assert "failed" == client.get(f"/v1/avatars/{made['avatar_id']}").json()["status"]


def run_to_its_end(world: World, job_id: str) -> Job:
    """Every stage succeeds; the one that scores tells of a low figure."""
    origin = origin_at(world.clock.now)
    with engine_work(world.database) as work:

        def apply(event: WorkerEvent | JobSignal) -> Job:
            job, _ = apply_event(work, job_id, event, origin)
            assert job is not None
            return job

        job = apply(Dispatch("preprocess"))
        for name in [stage.name for stage in job.stages]:
            job = apply(Dispatch(name))
            apply(started(job, name))
            facts = FACTS if name == "score" else {}
            job = apply(succeeded(job, name).model_copy(update={"facts": facts}))
        return job


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"min_quality": {"psnr": 30}}, "invalid_request"),
        ({"holdout_seconds": 3.0, "min_quality": {"charm": 1}}, "unknown_plugin"),
        ({"holdout_seconds": 3.0, "min_quality": {"psnr": "30"}}, "invalid_request"),
        ({"holdout_seconds": 3.0, "min_quality": {"PSNR!": 30}}, "invalid_request"),
    ],
)
def test_bars_that_mean_nothing_are_refused(
    opened: tuple[World, TestClient, Account, str], options: dict[str, Any], code: str
) -> None:
    """Nothing is measured without a held-out part; only metrics can be barred, by numbers."""
    _, client, _, capture = opened

    answer = client.post(
        "/v1/avatars",
        json={**avatar_body(capture), "options": options},
        headers={"Idempotency-Key": "k"},
    )

    assert (422, code) == (answer.status_code, answer.json()["code"])
