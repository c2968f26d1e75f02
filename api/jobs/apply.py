"""Applies an event to a stored job: state, commands, log, accounts and results, all or nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from api.db import jobs, outbox, removals, usage
from api.db.job_events import add_event, newest_sequence
from api.db.unit_of_work import UnitOfWork
from api.ids import Kind, new_id
from api.jobs.job import Job, StageStatus, job_prefix, stored_bytes
from api.jobs.outcomes import apply_outcome
from api.jobs.plan import QueueClass
from api.jobs.signals import Announce, JobCommand, JobSignal, RemoveFolder, WorkerEvent
from api.jobs.state_machine import advance
from api.webhooks.events import queue_event
from shared.contracts.command import CancelStage, RunStage
from shared.contracts.event import StageCanceled, StageFailed


class Origin(NamedTuple):
    """When and in which trace something is asked, and where ids come from."""

    now: datetime
    new_id: Callable[[Kind], str]
    traceparent: str | None = None


def origin_at(now: datetime, traceparent: str | None = None) -> Origin:
    """An origin that draws the product's own ids."""
    return Origin(now, lambda kind: new_id(kind, now), traceparent)


def apply_event(
    work: UnitOfWork, job_id: str, event: WorkerEvent | JobSignal, origin: Origin
) -> tuple[Job | None, bool]:
    """Lock a job, advance it and do in the same transaction all that follows.

    Returns:
        The job after the event, None where there is no such job, and whether anything changed.
    """
    before = jobs.lock_job(work, job_id)
    if before is None:
        return None, False
    after, commands = advance(before, event, origin.now)
    if after is before:
        return before, False
    jobs.save_job(work, before, after, origin.now)
    _charge(work, before, after, event, origin.now)
    for command in commands:
        _obey(work, after, command, origin)
    if before.status is not after.status:
        apply_outcome(work, after, origin.now)
    return after, True


def announce(
    work: UnitOfWork, job: Job, line: Announce, origin: Origin, *, is_first: bool = False
) -> None:
    """Write a line into the job's log and tell the tenant's webhooks."""
    sequence = 1 if is_first else newest_sequence(work, job.job_id) + 1
    event = add_event(work, job, sequence, line.type, data=line.data, now=origin.now)
    told = {
        "job_id": job.job_id,
        "kind": job.kind,
        "resource_id": job.resource_id,
        "sequence": event.sequence,
        **event.data,
    }
    queue_event(
        work,
        job.tenant_id,
        line.type,
        told,
        message_id=f"msg_{job.job_id}_{event.sequence}",
        now=origin.now,
        new_id=lambda _kind: origin.new_id("whd"),
        traceparent=job.traceparent or None,
    )


def _obey(work: UnitOfWork, job: Job, command: JobCommand, origin: Origin) -> None:
    if isinstance(command, Announce):
        announce(work, job, command, origin)
    elif isinstance(command, RemoveFolder):
        is_whole = command.prefix == job_prefix(job.tenant_id, job.job_id)
        removals.add_removal(
            work,
            job.tenant_id,
            command.prefix,
            origin.now + timedelta(seconds=command.delay_seconds),
            counted_bytes=stored_bytes(job) if is_whole and not command.delay_seconds else 0,
            job_id=job.job_id,
        )
    else:
        outbox.post(work, job.tenant_id, command, _queue_class(job, command), origin.now)


def _queue_class(job: Job, command: RunStage | CancelStage) -> QueueClass:
    stage = job.stage(command.stage)
    assert stage is not None
    return stage.spec.queue_class


def _charge(
    work: UnitOfWork, before: Job, after: Job, event: WorkerEvent | JobSignal, now: datetime
) -> None:
    """Charge what a tenant caused; attempts that the platform lost are on the house."""
    for old, new in zip(before.stages, after.stages, strict=True):
        service = new.spec.service
        if new.output is not None and old.output is None:
            usage.add_compute(work, after.tenant_id, service, new.output.seconds, now)
            usage.add_bytes(work, after.tenant_id, new.output.n_bytes)
        elif isinstance(event, StageCanceled | StageFailed) and event.stage == new.name:
            is_refused = isinstance(event, StageFailed) and not event.retryable
            if is_refused or new.status is StageStatus.canceled:
                usage.add_compute(work, after.tenant_id, service, event.seconds, now)
