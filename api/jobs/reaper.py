"""Finds attempts that were lost, have run for too long, or do not get on."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.engine import Engine

from api.db.attempts import OpenAttempt, open_attempts
from api.db.session import engine_work
from api.db.workers import LiveWorkers, live_workers
from api.jobs.apply import apply_event, origin_at
from api.jobs.backlog import Backlog
from api.jobs.job import StageStatus
from api.jobs.measure import Observe, observe_nothing
from api.jobs.signals import AttemptSignal, DeadlinePassed, LeaseExpired, StallNoticed

STALLED_AFTER = timedelta(seconds=90)
"""An attempt that lives but has not got on for so long is shown as stalled."""


def reap(
    database: Engine, backlog: Backlog, now: datetime, *, observe: Observe = observe_nothing
) -> int:
    """Tell jobs of their overdue attempts; returns how many jobs changed.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    read_until = backlog.read_until(now)
    if read_until is None:
        return 0
    with engine_work(database, is_read_only=True) as work:
        found = list(find_overdue(open_attempts(work), live_workers(work, now), now, read_until))
    n_changed = 0
    for job_id, signal in found:
        with engine_work(database) as work:
            job, is_changed = apply_event(work, job_id, signal, origin_at(now))
        if job and is_changed:
            observe(job, signal, now)
        n_changed += is_changed
    return n_changed


def find_overdue(
    attempts: Iterable[OpenAttempt],
    workers: Mapping[str, LiveWorkers],
    now: datetime,
    read_until: datetime,
) -> Iterable[tuple[str, AttemptSignal]]:
    """What is to be told to which job.

    Time runs only as far as workers' events have been read: a heartbeat may wait in the queue. A
    command that nobody took up counts as lost only while a worker of its service is idle: without
    one it simply waits in the queue.
    """
    until = min(now, read_until)
    for each in attempts:
        is_expired = each.lease_until <= until
        if each.status is StageStatus.dispatched:
            if is_expired and _has_idle(workers.get(each.service)):
                yield each.job_id, LeaseExpired(each.stage, each.attempt)
        elif is_expired:
            yield each.job_id, LeaseExpired(each.stage, each.attempt)
        elif each.deadline_at is not None and each.deadline_at <= until:
            yield each.job_id, DeadlinePassed(each.stage, each.attempt)
        elif each.progressed_at is not None and each.progressed_at + STALLED_AFTER <= until:
            yield each.job_id, StallNoticed(each.stage, each.attempt)


def _has_idle(workers: LiveWorkers | None) -> bool:
    return workers is not None and workers.n_busy < workers.n_slots
