"""Every transition of a job: ``advance(job, event, now) -> (job, commands)``, pure.

An event that is repeated, late or out of order returns the very same job and no commands: what
counts is ``(stage, attempt)`` and the state, never the order of arrival.

queued ──first start──▶ running ──all stages──▶ succeeded
   │                       ├──a stage for good──▶ failed ──retry──▶ queued
   └──────cancel───────────┴──▶ canceling ──workers stopped──▶ canceled

waiting ─needs─▶ ready ─dispatch─▶ dispatched ─start─▶ running ─▶ succeeded | failed
                   ▲                    └──────lost or failed for a while─┘
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.jobs.attempt_rules import (
    CANCEL_GRACE,
    DISPATCH_PATIENCE,
    back_off,
    below_quality,
    cancel_command,
    folder_of_dead_attempt,
    kept_checkpoints,
    progress_line,
    run_command,
)
from api.jobs.job import (
    OPEN_STAGE,
    TERMINAL_STAGE,
    Failure,
    Job,
    JobStatus,
    Output,
    Stage,
    StageStatus,
    checkpoint_prefix,
    job_prefix,
    output_prefix,
)
from api.jobs.signals import (
    Announce,
    CancelRequested,
    DeadlinePassed,
    Dispatch,
    JobCommand,
    JobSignal,
    LeaseExpired,
    RemoveFolder,
    RetryRequested,
    StallNoticed,
    WorkerEvent,
    WorkersGone,
)
from shared.contracts.command import CancelStage
from shared.contracts.event import (
    StageCanceled,
    StageFailed,
    StageProgress,
    StageStarted,
    StageSucceeded,
)


class Advance(NamedTuple):
    """The job after an event, and what is to be done in the same transaction."""

    job: Job
    commands: tuple[JobCommand, ...] = ()


def advance(  # noqa: PLR0911 - one line for each kind of event
    job: Job, event: WorkerEvent | JobSignal, now: datetime
) -> Advance:
    """Apply ``event`` to ``job`` at ``now``, the engine's clock."""
    if isinstance(event, RetryRequested):
        return _retry(job)
    if job.is_terminal:
        return Advance(job)
    if isinstance(event, CancelRequested):
        return _cancel(job, now)
    stage = job.stage(event.stage)
    if stage is None:
        return Advance(job)
    if isinstance(event, Dispatch):
        return _dispatch(job, stage, now)
    if event.attempt != stage.attempt or stage.status not in OPEN_STAGE:
        return Advance(job)
    if isinstance(event, WorkersGone):
        return _begin_again(job, stage, event, now)
    if isinstance(event, LeaseExpired | DeadlinePassed | StallNoticed):
        return _time_out(job, stage, event, now)
    if stage.status is StageStatus.canceling:
        return _stop(job, stage, event, now)
    return _hear(job, stage, event, now)


def unwanted_attempt(job: Job | None, event: WorkerEvent) -> CancelStage | None:
    """The order to stop, where a worker reports an attempt that nobody waits for.

    Repeated with each of its heartbeats, so that an order that was lost does no harm.
    """
    if not isinstance(event, StageStarted | StageProgress):
        return None
    stage = job.stage(event.stage) if job else None
    is_wanted = (
        stage is not None
        and stage.attempt == event.attempt
        and stage.status in {StageStatus.dispatched, StageStatus.running}
        and stage.worker_id in {None, event.worker_id}
    )
    if is_wanted:
        return None
    return CancelStage(job_id=event.job_id, stage=event.stage, attempt=event.attempt)


def _dispatch(job: Job, stage: Stage, now: datetime) -> Advance:
    is_due = stage.not_before is None or stage.not_before <= now
    if stage.status is not StageStatus.ready or not is_due:
        return Advance(job)
    sent = replace(
        stage,
        status=StageStatus.dispatched,
        attempt=stage.attempt + 1,
        dispatched_at=now,
        lease_until=now + DISPATCH_PATIENCE,
        not_before=None,
        started_at=None,
        deadline_at=None,
        progressed_at=None,
        worker_id=None,
        sequence=-1,
    )
    return Advance(_with(job, sent), (run_command(job, sent),))


def _hear(job: Job, stage: Stage, event: WorkerEvent, now: datetime) -> Advance:
    """Believe what a worker says of the present attempt."""
    if isinstance(event, StageSucceeded):
        below = below_quality(stage.name, event.facts)
        done = _succeed(job, stage, event, now)
        return _try_again(job, stage, below, now) if below else done
    if isinstance(event, StageFailed):
        failure = Failure(
            code=event.code, message=event.message, retryable=event.retryable, stage=stage.name
        )
        return _try_again(job, stage, failure, now)
    if isinstance(event, StageCanceled):
        return _try_again(job, stage, _lost(stage, "worker_stopped", "its worker stopped"), now)
    if stage.status is StageStatus.running and stage.worker_id != event.worker_id:
        # The broker gave the message to another worker, so the first one has lost it.
        lost = _lost(stage, "worker_lost", "its worker disappeared")
        return _try_again(job, stage, lost, now)
    if event.sequence <= stage.sequence:
        return Advance(job)
    if stage.status is StageStatus.dispatched:
        job, stage, begun = _start(job, stage, event, now)
    else:
        begun = ()
    changed = replace(
        stage,
        sequence=event.sequence,
        lease_until=now + timedelta(seconds=stage.spec.lease_seconds),
    )
    if isinstance(event, StageProgress):
        if (event.fraction, event.message) != (stage.progress, stage.message):
            changed = replace(changed, progressed_at=now, is_stalled=False)
        changed = replace(changed, progress=event.fraction, message=event.message)
    after = _with(job, changed)
    return Advance(after, (*begun, *progress_line(job, after, changed)))


def _start(
    job: Job, stage: Stage, event: StageStarted | StageProgress, now: datetime
) -> tuple[Job, Stage, tuple[JobCommand, ...]]:
    longest = stage.spec.deadline_seconds + stage.spec.lease_seconds
    running = replace(
        stage,
        status=StageStatus.running,
        worker_id=event.worker_id,
        started_at=now,
        progressed_at=now,
        is_stalled=False,
        deadline_at=now + timedelta(seconds=longest),
    )
    started = replace(
        _with(job, running), status=JobStatus.running, started_at=job.started_at or now
    )
    line = Announce("job.running", {"stage": stage.name, "attempt": stage.attempt})
    return started, running, (line,)


def _succeed(job: Job, stage: Stage, event: StageSucceeded, now: datetime) -> Advance:
    output = Output(
        prefix=output_prefix(job, stage.name, stage.attempt),
        manifest_sha256=event.manifest_sha256,
        n_files=event.n_files,
        n_bytes=event.n_bytes,
        seconds=event.seconds,
        facts=event.facts,
    )
    done = replace(
        stage,
        status=StageStatus.succeeded,
        progress=1.0,
        output=output,
        worker_id=event.worker_id,
        lease_until=None,
        started_at=stage.started_at or now,
        is_stalled=False,
    )
    after = _free_ready_stages(_with(job, done))
    after = replace(after, status=JobStatus.running, started_at=after.started_at or now)
    commands: list[JobCommand] = [RemoveFolder(checkpoint_prefix(job, stage.name))]
    if all(each.status is StageStatus.succeeded for each in after.stages):
        after = replace(after, status=JobStatus.succeeded, finished_at=now)
        commands.append(Announce("job.succeeded"))
    else:
        commands += progress_line(job, after, done)
    return Advance(after, tuple(commands))


def _try_again(job: Job, stage: Stage, failure: Failure, now: datetime) -> Advance:
    """After an attempt that ended badly: once more, or the job fails."""
    dead = folder_of_dead_attempt(job, stage)
    n_spent = stage.n_spent + 1
    tried = replace(stage, n_spent=n_spent, last_failure=failure, lease_until=None)
    if not failure.retryable or n_spent >= stage.spec.max_attempts:
        failed = _fail(_with(job, tried), tried, failure, now)
        return Advance(failed.job, (dead, *failed.commands))
    again = _make_ready(tried, now + back_off(job.job_id, stage.name, n_spent))
    line = Announce(
        "job.retrying",
        {"stage": stage.name, "attempt": stage.attempt, "code": failure.code},
    )
    return Advance(_with(job, again), (dead, line))


def _fail(job: Job, stage: Stage, failure: Failure, now: datetime) -> Advance:
    """End the job; what its other stages do is stopped and no longer waited for."""
    commands: list[JobCommand] = []
    stages: list[Stage] = []
    for each in job.stages:
        if each.name == stage.name:
            stages.append(replace(each, status=StageStatus.failed, lease_until=None))
        elif each.status in TERMINAL_STAGE:
            stages.append(each)
        else:
            if each.status in OPEN_STAGE:
                commands += [cancel_command(job, each), folder_of_dead_attempt(job, each)]
            stages.append(replace(each, status=StageStatus.canceled, lease_until=None))
    commands += kept_checkpoints(job)
    told: dict[str, Any] = {"code": failure.code, "retryable": failure.retryable}
    if failure.scores:
        told["scores"] = dict(failure.scores)
    commands.append(Announce("job.failed", told))
    failed = replace(
        job, stages=tuple(stages), status=JobStatus.failed, failure=failure, finished_at=now
    )
    return Advance(failed, tuple(commands))


def _time_out(  # noqa: PLR0911 - one exit for each kind of waiting
    job: Job, stage: Stage, event: LeaseExpired | DeadlinePassed | StallNoticed, now: datetime
) -> Advance:
    if isinstance(event, StallNoticed):
        if stage.is_stalled or stage.status is not StageStatus.running:
            return Advance(job)
        line = Announce("job.stalled", {"stage": stage.name, "attempt": stage.attempt})
        return Advance(_with(job, replace(stage, is_stalled=True)), (line,))
    if isinstance(event, DeadlinePassed):
        is_over = stage.status is StageStatus.running and _has_passed(stage.deadline_at, now)
        if not is_over:
            return Advance(job)
        text = f"it did not end within {stage.spec.deadline_seconds} s"
        ended = _try_again(job, stage, _lost(stage, "deadline_exceeded", text), now)
        return Advance(ended.job, (cancel_command(job, stage), *ended.commands))
    if not _has_passed(stage.lease_until, now):
        return Advance(job)
    if stage.status is StageStatus.canceling:
        return _stop(job, stage, event, now)
    if stage.status is StageStatus.dispatched:
        # Nobody took it up: the message is lost, no attempt is spent.
        return _send_again(job, stage, now)
    text = f"nothing was heard of its worker for {stage.spec.lease_seconds} s"
    return _try_again(job, stage, _lost(stage, "worker_lost", text), now)


def _begin_again(job: Job, stage: Stage, event: WorkersGone, now: datetime) -> Advance:
    """The platform was stopped, or an operator says so: no attempt is spent, it was no fault."""
    if stage.status is StageStatus.canceling:
        return _stop(job, stage, event, now)
    again = _send_again(job, stage, now)
    told = {"stage": stage.name, "attempt": stage.attempt, "code": event.code}
    return Advance(again.job, (*again.commands, Announce("job.retrying", told)))


def _send_again(job: Job, stage: Stage, now: datetime) -> Advance:
    again = _make_ready(replace(stage, lease_until=None), now)
    return Advance(_with(job, again), (folder_of_dead_attempt(job, stage),))


def _cancel(job: Job, now: datetime) -> Advance:
    if job.status is JobStatus.canceling:
        return Advance(job)
    commands: list[JobCommand] = []
    stages: list[Stage] = []
    for stage in job.stages:
        if stage.status is StageStatus.running:
            commands.append(cancel_command(job, stage))
            stages.append(
                replace(stage, status=StageStatus.canceling, lease_until=now + CANCEL_GRACE)
            )
        elif stage.status in TERMINAL_STAGE:
            stages.append(stage)
        else:
            # A command that nobody took up yet is refused when somebody does.
            stages.append(replace(stage, status=StageStatus.canceled, lease_until=None))
    canceling = replace(job, stages=tuple(stages), status=JobStatus.canceling)
    commands.append(Announce("job.canceling"))
    ended = _end_if_stopped(canceling, now)
    return Advance(ended.job, (*commands, *ended.commands))


def _stop(
    job: Job, stage: Stage, event: WorkerEvent | LeaseExpired | WorkersGone, now: datetime
) -> Advance:
    """A stage that was told to stop ends with whatever ends its attempt."""
    if isinstance(event, StageStarted | StageProgress):
        return Advance(job)
    stopped = replace(stage, status=StageStatus.canceled, lease_until=None)
    return _end_if_stopped(_with(job, stopped), now)


def _end_if_stopped(job: Job, now: datetime) -> Advance:
    if any(stage.status in OPEN_STAGE for stage in job.stages):
        return Advance(job)
    folder = job_prefix(job.tenant_id, job.job_id)
    commands = (
        RemoveFolder(folder),
        RemoveFolder(folder, 600.0),  # for what a worker was uploading meanwhile
        Announce("job.canceled"),
    )
    return Advance(replace(job, status=JobStatus.canceled, finished_at=now), commands)


def _retry(job: Job) -> Advance:
    if job.status is not JobStatus.failed:
        return Advance(job)
    stages = tuple(
        stage
        if stage.status is StageStatus.succeeded
        else replace(stage, status=StageStatus.waiting, n_spent=0, not_before=None)
        for stage in job.stages
    )
    again = replace(job, stages=stages, status=JobStatus.queued, failure=None, finished_at=None)
    return Advance(_free_ready_stages(again), (Announce("job.queued"),))


def _free_ready_stages(job: Job) -> Job:
    """Make ready what only waited for stages that have succeeded."""
    done = {stage.name for stage in job.stages if stage.status is StageStatus.succeeded}
    stages = tuple(
        replace(stage, status=StageStatus.ready)
        if stage.status is StageStatus.waiting and done >= set(stage.spec.needs)
        else stage
        for stage in job.stages
    )
    return replace(job, stages=stages)


def _make_ready(stage: Stage, not_before: datetime) -> Stage:
    return replace(
        stage, status=StageStatus.ready, not_before=not_before, worker_id=None, is_stalled=False
    )


def _with(job: Job, changed: Stage) -> Job:
    stages = tuple(changed if stage.name == changed.name else stage for stage in job.stages)
    return replace(job, stages=stages)


def _lost(stage: Stage, code: str, what: str) -> Failure:
    return Failure(
        code=code,
        message=f"stage {stage.name}, attempt {stage.attempt}: {what}; try the job again",
        retryable=True,
        stage=stage.name,
    )


def _has_passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
