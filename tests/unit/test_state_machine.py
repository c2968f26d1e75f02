"""Transitions of a job, one by one; ``test_state_machine_properties.py`` mixes them."""

from dataclasses import replace

import pytest

from api.jobs.attempt_rules import back_off
from api.jobs.job import Job, JobStatus, StageStatus, dump_job, job_progress, parse_job
from api.jobs.plan import PLANS, StageSpec, plan_job
from api.jobs.signals import (
    Announce,
    CancelRequested,
    DeadlinePassed,
    Dispatch,
    LeaseExpired,
    RemoveFolder,
    RetryRequested,
    StallNoticed,
    WorkerEvent,
    WorkersGone,
)
from api.jobs.state_machine import Advance, advance, unwanted_attempt
from shared.contracts.command import CancelStage, RunStage
from shared.errors import InvalidInput
from tests.job_worlds import (
    START,
    canceled,
    failed,
    make_job,
    progress,
    seconds,
    started,
    succeeded,
)

LATER = START + seconds(10_000)


def _run(job: Job, stage: str) -> Job:
    """Dispatch a stage and let a worker take it up."""
    job = advance(job, Dispatch(stage), START).job
    return advance(job, started(job, stage), START).job


def _finish(job: Job, stage: str) -> Job:
    job = _run(job, stage)
    return advance(job, succeeded(job, stage), START).job


def _status(job: Job) -> dict[str, str]:
    return {stage.name: stage.status.value for stage in job.stages}


def _of(kind: type, result: Advance) -> list[object]:
    return [command for command in result.commands if isinstance(command, kind)]


def _attempt(job: Job, stage: str) -> int:
    found = job.stage(stage)
    assert found is not None
    return found.attempt


def test_a_job_runs_stage_by_stage_to_its_end() -> None:
    """Each success frees what waited for it; the last one ends the job."""
    job = _finish(make_job(), "a")
    both_ready = _status(job)
    job = _finish(_finish(_finish(job, "b"), "c"), "d")

    assert {"a": "succeeded", "b": "ready", "c": "ready", "d": "waiting"} == both_ready
    assert (JobStatus.succeeded, START) == (job.status, job.finished_at)
    assert 1.0 == job_progress(job)


def test_a_command_names_inputs_and_its_own_folder() -> None:
    """Inputs of later stages are the accepted outputs of earlier ones."""
    job = _finish(make_job(), "a")
    (command,) = advance(job, Dispatch("b"), START).commands

    assert isinstance(command, RunStage)
    assert {"a": "tenants/ten_1/jobs/job_1/a/1/"} == command.inputs
    assert "tenants/ten_1/jobs/job_1/b/1/" == command.output_prefix
    assert "tenants/ten_1/jobs/job_1/b/checkpoints/" == command.checkpoint_prefix


def test_the_checkpoint_folder_stays_and_the_output_folder_moves() -> None:
    """A later attempt finds the checkpoints of an earlier one and writes elsewhere."""
    job = _run(make_job(), "a")
    job = advance(job, failed(job, "a", is_retryable=True), START).job
    (command,) = advance(job, Dispatch("a"), LATER).commands

    assert isinstance(command, RunStage)
    assert "tenants/ten_1/jobs/job_1/a/checkpoints/" == command.checkpoint_prefix
    assert "tenants/ten_1/jobs/job_1/a/2/" == command.output_prefix


def test_only_a_ready_stage_is_dispatched() -> None:
    """Neither one that waits, nor one under way, nor one that backs off."""
    job = _run(make_job(), "a")
    backing_off = advance(job, failed(job, "a", is_retryable=True), START).job

    assert Advance(job) == advance(job, Dispatch("a"), START)
    assert Advance(job) == advance(job, Dispatch("d"), START)
    assert Advance(backing_off) == advance(backing_off, Dispatch("a"), START)


def test_a_repeated_event_changes_nothing() -> None:
    """The very same job comes back, and no command."""
    job = _run(make_job(), "a")
    beat = progress(job, "a", 0.5)
    after = advance(job, beat, START).job
    done = advance(after, succeeded(after, "a"), START).job

    assert advance(after, beat, LATER).job is after
    assert advance(done, succeeded(done, "a"), LATER) == Advance(done)
    assert advance(done, beat, LATER).job is done


def test_progress_before_the_start_counts_as_the_start() -> None:
    """Events may change places."""
    job = advance(make_job(), Dispatch("a"), START).job
    first = advance(job, progress(job, "a", 0.25), START).job
    second = advance(first, started(job, "a"), START)

    assert (JobStatus.running, StageStatus.running) == (first.status, first.stages[0].status)
    assert second.job is first


def test_success_without_any_sign_of_life_is_accepted() -> None:
    """Earlier events may have been lost; the result is there."""
    job = advance(make_job(), Dispatch("a"), START).job
    job = advance(job, succeeded(job, "a"), START).job

    assert "succeeded" == _status(job)["a"]


def test_a_heartbeat_prolongs_the_lease() -> None:
    """Whoever reports is not reaped."""
    job = _run(make_job(), "a")
    job = advance(job, progress(job, "a", 0.0), START + seconds(50)).job

    assert advance(job, LeaseExpired("a", 1), START + seconds(100)).job is job
    assert advance(job, LeaseExpired("a", 1), START + seconds(110)).job is not job


def test_the_result_of_a_lost_attempt_is_refused() -> None:
    """Fencing: after the lease ran out the attempt counts no more, whatever it sends."""
    job = _run(make_job(), "a")
    job = advance(job, LeaseExpired("a", 1), LATER).job
    job_2 = advance(job, Dispatch("a"), LATER + seconds(10)).job

    assert advance(job, succeeded(job, "a", attempt=1), LATER).job is job
    assert advance(job_2, succeeded(job_2, "a", attempt=1), LATER).job is job_2


def test_a_command_that_nobody_took_up_costs_no_attempt() -> None:
    """Only what had started and was lost counts."""
    job, now = make_job(), START
    for _ in range(20):
        job = advance(job, Dispatch("a"), now).job
        now += seconds(60)
        job = advance(job, LeaseExpired("a", _attempt(job, "a")), now).job

    assert (StageStatus.ready, 20, 0) == (
        job.stages[0].status,
        job.stages[0].attempt,
        job.stages[0].n_spent,
    )


def test_lost_attempts_are_limited() -> None:
    """A stage that kills its workers fails in the end, with a reason."""
    job, now = make_job(), START
    for _ in range(4):
        now += seconds(1000)
        job = advance(job, Dispatch("a"), now).job
        job = advance(job, started(job, "a"), now).job
        job = advance(job, LeaseExpired("a", _attempt(job, "a")), now + seconds(61)).job

    assert JobStatus.failed == job.status
    assert job.failure is not None
    assert ("worker_lost", True, "a") == (
        job.failure.code,
        job.failure.retryable,
        job.failure.stage,
    )


def test_the_caller_s_mistake_is_not_tried_again() -> None:
    """One attempt, and the job fails with the stage's own words."""
    job = _run(make_job(), "a")
    result = advance(job, failed(job, "a", is_retryable=False), START)

    assert JobStatus.failed == result.job.status
    assert {"a": "failed", "b": "canceled", "c": "canceled", "d": "canceled"} == _status(result.job)
    assert [Announce("job.failed", {"code": "no_face", "retryable": False})] == _of(
        Announce, result
    )


def test_failing_stops_what_runs_beside() -> None:
    """The other worker is told to stop and its folder is removed."""
    job = _run(_run(_finish(make_job(), "a"), "b"), "c")
    result = advance(job, failed(job, "b", is_retryable=False), START)

    assert [CancelStage(job_id="job_1", stage="c", attempt=1)] == _of(CancelStage, result)
    assert RemoveFolder("tenants/ten_1/jobs/job_1/c/1/", 600.0) in result.commands


def test_a_message_that_came_back_to_another_worker_ends_the_attempt() -> None:
    """Two workers in one folder would mix their files; the next attempt has its own."""
    job = _run(make_job(), "a")
    second = started(job, "a", worker="w2")
    result = advance(job, second, START)

    assert (StageStatus.ready, 1) == (result.job.stages[0].status, result.job.stages[0].n_spent)
    assert CancelStage(job_id="job_1", stage="a", attempt=1) == unwanted_attempt(result.job, second)


def test_a_deadline_stops_the_worker_and_tries_again() -> None:
    """Heartbeats alone do not keep an attempt alive for ever."""
    job = _run(make_job(), "a")
    too_early = advance(job, DeadlinePassed("a", 1), START + seconds(3600))
    result = advance(job, DeadlinePassed("a", 1), START + seconds(3660))

    assert too_early.job is job
    assert [CancelStage(job_id="job_1", stage="a", attempt=1)] == _of(CancelStage, result)
    assert StageStatus.ready == result.job.stages[0].status


def test_a_restart_of_the_platform_spends_no_attempt() -> None:
    """What ran begins again at once, however often the machine is switched off."""
    job = _run(make_job(), "a")
    result = advance(job, WorkersGone("a", 1), START)
    stage = result.job.stages[0]

    assert (StageStatus.ready, 0, START) == (stage.status, stage.n_spent, stage.not_before)
    assert [
        Announce("job.retrying", {"stage": "a", "attempt": 1, "code": "platform_restarted"})
    ] == _of(Announce, result)
    assert Advance(result.job) == advance(result.job, WorkersGone("a", 1), START)


def test_a_restart_of_the_platform_ends_what_was_being_canceled() -> None:
    """Nobody is left to wait for."""
    job = advance(_run(make_job(), "a"), CancelRequested(), START).job

    assert JobStatus.canceled == advance(job, WorkersGone("a", 1), START).job.status


def test_a_stall_is_told_once_until_it_gets_on() -> None:
    """A worker that lives and does not get on is shown as stalled."""
    job = _run(make_job(), "a")
    stalled = advance(job, StallNoticed("a", 1), START)
    again = advance(stalled.job, StallNoticed("a", 1), START)
    moved = advance(stalled.job, progress(job, "a", 0.5), START).job

    assert stalled.job.stages[0].is_stalled
    assert [Announce("job.stalled", {"stage": "a", "attempt": 1})] == list(stalled.commands)
    assert Advance(stalled.job) == again
    assert not moved.stages[0].is_stalled


def test_canceling_a_queued_job_ends_it_at_once() -> None:
    """There is nobody to wait for."""
    result = advance(make_job(), CancelRequested(), START)

    assert JobStatus.canceled == result.job.status
    assert set(_status(result.job).values()) == {"canceled"}
    assert RemoveFolder("tenants/ten_1/jobs/job_1/") in result.commands


@pytest.mark.parametrize("end", ["canceled", "failed", "succeeded", "lease"])
def test_canceling_waits_for_the_workers_that_run(end: str) -> None:
    """However the attempt ends, the job is canceled; a result is not accepted."""
    job = _run(make_job(), "a")
    asked = advance(job, CancelRequested(), START)
    job = asked.job
    ends: dict[str, WorkerEvent | LeaseExpired] = {
        "canceled": canceled(job, "a"),
        "failed": failed(job, "a", is_retryable=True),
        "succeeded": succeeded(job, "a"),
        "lease": LeaseExpired("a", 1),
    }
    after = advance(job, ends[end], START + seconds(20)).job

    assert [CancelStage(job_id="job_1", stage="a", attempt=1)] == _of(CancelStage, asked)
    assert (JobStatus.canceling, JobStatus.canceled) == (job.status, after.status)
    assert after.stages[0].output is None


def test_canceling_twice_changes_nothing() -> None:
    """Neither while it stops nor after."""
    canceling = advance(_run(make_job(), "a"), CancelRequested(), START).job
    gone = advance(make_job(), CancelRequested(), START).job

    assert advance(canceling, CancelRequested(), LATER) == Advance(canceling)
    assert advance(gone, CancelRequested(), LATER) == Advance(gone)


def test_a_retry_keeps_what_succeeded_and_never_reuses_an_attempt() -> None:
    """Finished stages stay; attempts go on counting, so old results stay refused."""
    job = _run(_finish(make_job(), "a"), "b")
    job = advance(job, failed(job, "b", is_retryable=False), START).job
    again = advance(job, RetryRequested(), LATER).job
    sent = advance(again, Dispatch("b"), LATER).job

    assert {"a": "succeeded", "b": "ready", "c": "ready", "d": "waiting"} == _status(again)
    assert (JobStatus.queued, None) == (again.status, again.failure)
    assert 2 == _attempt(sent, "b")


def test_only_a_failed_job_is_retried() -> None:
    """Others come back as they are."""
    running = _run(make_job(), "a")
    gone = advance(make_job(), CancelRequested(), START).job

    assert Advance(running) == advance(running, RetryRequested(), START)
    assert Advance(gone) == advance(gone, RetryRequested(), START)


def test_an_unwanted_worker_is_told_to_stop_and_a_wanted_one_is_not() -> None:
    """A worker that missed the order hears it again at its next heartbeat."""
    job = _run(make_job(), "a")
    gone = advance(make_job(), CancelRequested(), START).job

    assert unwanted_attempt(job, progress(job, "a", 0.1)) is None
    assert unwanted_attempt(gone, started(job, "a")) is not None
    assert unwanted_attempt(None, started(job, "a")) is not None
    assert unwanted_attempt(job, started(job, "a", worker="w2")) is not None
    assert unwanted_attempt(gone, succeeded(job, "a")) is None


def test_waiting_times_double_up_to_five_minutes() -> None:
    """And are the same whenever they are asked for."""
    waits = [back_off("job_1", "a", n).total_seconds() for n in range(1, 40)]

    assert all(0.75 * 2 ** (n) <= waits[n] <= 1.25 * 2 ** (n) for n in range(8))
    assert max(waits) <= 375
    assert waits[3] == back_off("job_1", "a", 4).total_seconds()


def test_a_job_survives_storage() -> None:
    """JSON and back is the same job."""
    job = _run(_finish(make_job(), "a"), "b")

    assert job == parse_job(dump_job(job))


@pytest.mark.parametrize("kind", sorted(PLANS))
@pytest.mark.parametrize("holdout", [0.0, 3.0])
def test_every_kind_runs_to_its_end(kind: str, holdout: float) -> None:
    """Each plan is sound: inputs resolve and all stages come to their turn."""
    beats: dict[str, dict[str, float]] = {"beat_renderer": {}, "beat_evaluator": {}}
    plan = plan_job(kind, {"preprocess": {"holdout_seconds": holdout}, **beats})
    keys = ("capture", "avatar", "motion_model", "speech", "upload", "probe")
    job = replace(make_job(plan), inputs={key: f"tenants/t/{key}" for key in keys})
    for _ in range(len(plan)):
        for stage in job.stages:
            if stage.status is StageStatus.ready:
                job = _finish(job, stage.name)

    assert JobStatus.succeeded == job.status


def test_an_unknown_kind_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(InvalidInput, match="create_avatar, create_video, heartbeat, verify_upload"):
        plan_job("make_tea", {})


def test_a_plan_cannot_read_what_comes_later() -> None:
    """A programmer's mistake shows before any job is made."""
    loop = StageSpec(name="a", service="x", entry="test.run", inputs={"b": "stage:b"})

    with pytest.raises(AssertionError, match="needs"):
        plan_job("loop", {}, {"loop": lambda _options: (loop,)})
