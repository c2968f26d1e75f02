"""What an applied event means for the gateway's metrics; called after the commit."""

from collections.abc import Callable
from datetime import datetime

from api.jobs.attempt_rules import scores_among
from api.jobs.job import Job, Stage
from api.jobs.signals import DeadlinePassed, Dispatch, JobSignal, LeaseExpired, WorkerEvent
from shared.contracts.event import (
    StageCanceled,
    StageFailed,
    StageProgress,
    StageStarted,
    StageSucceeded,
)
from shared.observability.gateway_telemetry import GatewayTelemetry

Observe = Callable[[Job, WorkerEvent | JobSignal, datetime], None]
"""Told of each event that changed a job, after the commit: the job now, the event, its moment."""


def observe_nothing(job: Job, event: WorkerEvent | JobSignal, now: datetime) -> None:
    """Where nobody measures."""


def measure_event(
    telemetry: GatewayTelemetry, job: Job, event: WorkerEvent | JobSignal, now: datetime
) -> None:
    """Count what ``event``, applied at ``now``, has changed.

    Args:
        telemetry: Of this process.
        job: The job after the event.
        event: An event that changed the job; others are not to be counted.
        now: The moment that the event was applied with.
    """
    if job.finished_at == now:
        is_broken = job.failure is not None and job.failure.retryable
        telemetry.job_finished(job.kind, job.status.value, is_broken=is_broken)
    stage = job.stage(getattr(event, "stage", ""))
    if stage is None:
        return
    if isinstance(event, Dispatch | StageStarted | StageProgress):
        _measure_begin(telemetry, job, stage, event, now)
    elif isinstance(event, LeaseExpired | DeadlinePassed):
        _measure_loss(telemetry, stage, event, now)
    elif isinstance(event, StageSucceeded | StageFailed | StageCanceled):
        _measure_end(telemetry, stage, event, now)
        if isinstance(event, StageSucceeded) and stage.spec.service == "evaluator":
            telemetry.video_scored(job.kind, scores_among(event.facts))


def waited_seconds(job: Job, stage: Stage, now: datetime) -> float:
    """How long the first attempt of ``stage`` waited: since all that it needs was there."""
    ends = [
        needed.started_at.timestamp() + needed.output.seconds
        for needed in map(job.stage, stage.spec.needs)
        if needed and needed.started_at and needed.output
    ]
    return max(now.timestamp() - max([job.created_at.timestamp(), *ends]), 0.0)


def _measure_loss(
    telemetry: GatewayTelemetry, stage: Stage, event: LeaseExpired | DeadlinePassed, now: datetime
) -> None:
    if isinstance(event, LeaseExpired):
        telemetry.lease_expired(stage.name)
    if stage.started_at is not None:
        code = "worker_lost" if isinstance(event, LeaseExpired) else "deadline_exceeded"
        seconds = (now - stage.started_at).total_seconds()
        telemetry.stage_failed(stage.name, code, seconds=seconds)


def _measure_begin(
    telemetry: GatewayTelemetry,
    job: Job,
    stage: Stage,
    event: Dispatch | StageStarted | StageProgress,
    now: datetime,
) -> None:
    if isinstance(event, Dispatch):
        if stage.attempt > 1:
            telemetry.stage_retried(stage.name)
    elif stage.started_at == now and stage.attempt == 1:
        waited = waited_seconds(job, stage, now)
        telemetry.stage_started(stage.name, stage.spec.queue_class.value, waited)


def _measure_end(
    telemetry: GatewayTelemetry,
    stage: Stage,
    event: StageSucceeded | StageFailed | StageCanceled,
    now: datetime,
) -> None:
    if isinstance(event, StageSucceeded):
        n_frames = event.facts.get("n_frames")
        telemetry.stage_succeeded(
            stage.name,
            seconds=event.seconds,
            at=now.timestamp(),
            n_frames=n_frames if isinstance(n_frames, int | float) else 0,
        )
    elif isinstance(event, StageFailed):
        telemetry.stage_failed(stage.name, event.code, seconds=event.seconds)
    else:
        telemetry.stage_canceled(stage.name, seconds=event.seconds)
