"""A job as callers see it."""

from datetime import datetime

from api.db.records import JobEvent
from api.jobs.job import (
    TERMINAL_JOB,
    Job,
    JobStatus,
    Stage,
    current_stage,
    job_progress,
)
from api.schemas.jobs import JobBody, JobEventBody, JobFailure, StageBody
from api.schemas.links import Links
from shared.observability.trace import parse_traceparent

_LEAST_PROGRESS = 0.02
"""Less says nothing about the time that is left."""
_RESULTS = {"create_avatar": "avatars", "create_video": "videos", "verify_upload": "uploads"}


def job_body(job: Job, address: str, updated_at: datetime, queue_position: int | None) -> JobBody:
    """What ``GET /v1/jobs/{job_id}`` answers."""
    stage = current_stage(job)
    trace = parse_traceparent(job.traceparent)
    failure = job.failure
    return JobBody(
        job_id=job.job_id,
        kind=job.kind,
        resource_id=job.resource_id,
        status=job.status,
        stage=stage.name,
        message=stage.message,
        progress=min(1.0, round(job_progress(job), 4)),
        attempt=stage.attempt,
        queue_position=queue_position,
        eta_seconds=eta_seconds(job, updated_at),
        failure=failure
        and JobFailure(
            code=failure.code,
            message=failure.message,
            retryable=failure.retryable,
            stage=failure.stage,
            scores=dict(failure.scores) or None,
        ),
        stages=[_stage_body(one) for one in job.stages],
        trace_id=trace.trace_id if trace else None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        urls=job_links(job, address),
    )


def job_links(job: Job, address: str) -> Links:
    """Where to go on from a job."""
    own = f"{address}/v1/jobs/{job.job_id}"
    folder = _RESULTS.get(job.kind)
    is_done = job.status is JobStatus.succeeded and folder is not None
    return Links(
        self=own,
        events=f"{own}/events",
        cancel=None if job.status in TERMINAL_JOB else f"{own}/cancel",
        retry=f"{own}/retry" if job.status is JobStatus.failed else None,
        result=f"{address}/v1/{folder}/{job.resource_id}" if is_done else None,
    )


def eta_seconds(job: Job, updated_at: datetime) -> int | None:
    """Estimate of what is left by the share that is done, as of the last change."""
    done = job_progress(job)
    if job.status is not JobStatus.running or job.started_at is None or done < _LEAST_PROGRESS:
        return None
    spent = (updated_at - job.started_at).total_seconds()
    return max(0, round(spent * (1 - done) / done))


def event_body(event: JobEvent) -> JobEventBody:
    """The ``data`` of a server-sent event."""
    return JobEventBody(
        job_id=event.job_id,
        sequence=event.sequence,
        type=event.type,
        occurred_at=event.occurred_at,
        data=dict(event.data),
    )


def _stage_body(stage: Stage) -> StageBody:
    return StageBody(
        stage=stage.name,
        status=stage.status,
        progress=min(1.0, max(0.0, stage.progress)),
        message=stage.message,
        attempt=stage.attempt,
        is_stalled=stage.is_stalled,
        seconds=stage.output.seconds if stage.output else None,
    )
