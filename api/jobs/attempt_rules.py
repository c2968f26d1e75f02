"""The rules of single attempts that the state machine applies: commands, folders, waiting times."""

import zlib
from collections.abc import Mapping
from datetime import timedelta

from api.jobs.job import (
    Failure,
    Job,
    Stage,
    StageStatus,
    checkpoint_prefix,
    job_progress,
    output_prefix,
)
from api.jobs.signals import Announce, JobCommand, RemoveFolder
from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import Fact
from shared.contracts.scores import QUALITY_BELOW

DISPATCH_PATIENCE = timedelta(seconds=60)
"""A command that an idle worker has not taken up for so long is lost."""
CANCEL_GRACE = timedelta(seconds=20)
"""A worker that was told to stop is no longer waited for."""
ZOMBIE_SECONDS = 600.0
"""A dead attempt's folder is removed after it; until then a lost worker might still write there."""
KEPT_SECONDS = 7 * 24 * 3600.0
"""Checkpoints of a failed job stay for a retry."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 300.0


def back_off(job_id: str, stage: str, n_spent: int) -> timedelta:
    """Wait before attempt ``n_spent + 1``: doubling from 1 s to 300 s, give or take a quarter.

    The share comes from the names, so that a thousand jobs do not come back at one moment and the
    rule stays a function.
    """
    wait = min(_FIRST_WAIT_S * 2.0 ** min(n_spent - 1, 20), _LONGEST_WAIT_S)
    drawn = zlib.crc32(f"{job_id}/{stage}/{n_spent}".encode()) / 2**32
    return timedelta(seconds=wait * (0.75 + 0.5 * drawn))


def run_command(job: Job, stage: Stage) -> RunStage:
    """The command for the present attempt of ``stage``."""
    spec = stage.spec
    return RunStage(
        job_id=job.job_id,
        tenant_id=job.tenant_id,
        kind=job.kind,
        stage=stage.name,
        service=spec.service,
        entry=spec.entry,
        attempt=stage.attempt,
        inputs={path: _resolve(job, source) for path, source in spec.inputs.items()},
        options=dict(job.options.get(stage.name, {})),
        output_prefix=output_prefix(job, stage.name, stage.attempt),
        checkpoint_prefix=checkpoint_prefix(job, stage.name),
        lease_seconds=spec.lease_seconds,
        deadline_seconds=spec.deadline_seconds,
        traceparent=job.traceparent or None,
    )


def cancel_command(job: Job, stage: Stage) -> CancelStage:
    """The order to stop the present attempt of ``stage``."""
    return CancelStage(job_id=job.job_id, stage=stage.name, attempt=stage.attempt)


def folder_of_dead_attempt(job: Job, stage: Stage) -> RemoveFolder:
    """What an attempt has written that nobody will read."""
    prefix = output_prefix(job, stage.name, stage.attempt)
    return RemoveFolder(prefix, max(ZOMBIE_SECONDS, 2.0 * stage.spec.lease_seconds))


def kept_checkpoints(job: Job) -> list[RemoveFolder]:
    """Checkpoints of the stages that did not succeed, to be removed if nobody retries."""
    return [
        RemoveFolder(checkpoint_prefix(job, stage.name), KEPT_SECONDS)
        for stage in job.stages
        if stage.status is not StageStatus.succeeded and stage.attempt
    ]


def progress_line(before: Job, after: Job, stage: Stage) -> tuple[JobCommand, ...]:
    """A line of the log where a hundredth of the job or of the stage was done."""
    was = before.stage(stage.name)
    assert was is not None
    shown = round(job_progress(after), 2)
    if (round(job_progress(before), 2), round(was.progress, 2)) == (
        shown,
        round(stage.progress, 2),
    ):
        return ()
    data = {
        "stage": stage.name,
        "attempt": stage.attempt,
        "progress": shown,
        "stage_progress": round(stage.progress, 2),
        "message": stage.message,
    }
    return (Announce("job.progress", data),)


def below_quality(stage: str, facts: Mapping[str, Fact]) -> Failure | None:
    """Why a job fails whose video was made and scored, but does not reach its bars."""
    below = facts.get(QUALITY_BELOW)
    if below is None:
        return None
    return Failure(
        code=QUALITY_BELOW,
        message=f"{below}; lower the bars of min_quality, or choose another capture or preset",
        retryable=False,
        stage=stage,
        scores=scores_among(facts),
    )


def scores_among(facts: Mapping[str, Fact]) -> dict[str, float]:
    """Figures that the evaluator found; those that it could not compute are missing."""
    return {
        name: float(value)
        for name, value in facts.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "n_frames"
    }


def _resolve(job: Job, source: str) -> str:
    """Store key of an input of a stage."""
    where, _, name = source.partition(":")
    if where == "job":
        return job.inputs[name]
    assert where == "stage", f"{source!r} names neither an input of the job nor a stage"
    stage = job.stage(name)
    assert stage is not None
    assert stage.output is not None, f"{name} has not succeeded"
    return stage.output.prefix
