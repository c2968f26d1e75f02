"""Sends ready stages to workers, as many as can be run now, in fair order.

What it reads grows with the number of tenants that wait and of places that are free, never with the
number of jobs. One gateway dispatches at a time.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.engine import Engine

from api.consent_records import stopped_jobs
from api.db import attempts, jobs, ready_stages, shares
from api.db.session import engine_work
from api.db.shares import Share
from api.db.unit_of_work import UnitOfWork
from api.db.workers import LiveWorkers, live_workers
from api.jobs.apply import apply_event, origin_at
from api.jobs.choose_next import (
    ServiceQueue,
    Snapshot,
    TenantQueue,
    choose_next,
    free_places,
)
from api.jobs.job import Job
from api.jobs.measure import Observe, observe_nothing
from api.jobs.signals import Dispatch

_MORE = 15
"""Tenants looked at beyond the free places, so that interactive work goes first among equals."""
_NONE = LiveWorkers(0, 0, 0)


def dispatch_ready(
    database: Engine, now: datetime, *, headroom: int = 0, observe: Observe = observe_nothing
) -> int:
    """Dispatch what fits; returns how many stages. ``headroom`` is per service.

    Raises:
        Unavailable: ``database_unavailable``.
    """
    with engine_work(database, is_read_only=True) as work:
        if not ready_stages.services_waited_for(work):
            return 0
    with engine_work(database) as work:
        if not shares.hold_dispatch(work):
            return 0
        sent: list[tuple[Job, Dispatch]] = []
        for choice in choose_next(read_snapshot(work, now, headroom=headroom)):
            for job_id, stage in choice.stages:
                turn = Dispatch(stage)
                job, is_sent = apply_event(work, job_id, turn, origin_at(now))
                if job and is_sent:
                    sent.append((job, turn))
            shares.write_shares(work, choice.service, choice.clock, choice.virtual_times)
    for job, turn in sent:
        observe(job, turn, now)
    return len(sent)


def read_snapshot(work: UnitOfWork, now: datetime, *, headroom: int = 0) -> Snapshot:
    """What there is to choose from, and room for how much."""
    live = live_workers(work, now)
    n_open: dict[str, int] = {}
    for (service, _kind, _status), n in attempts.count_open(work).items():
        n_open[service] = n_open.get(service, 0) + n
    queues = []
    for service in ready_stages.services_waited_for(work):
        slots = live.get(service, _NONE).n_slots
        n_free = free_places(slots, n_open.get(service, 0), headroom)
        if n_free:
            queues.append(_read_service(work, service, n_free, now))
    return Snapshot(services=queues)


def _read_service(work: UnitOfWork, service: str, n_free: int, now: datetime) -> ServiceQueue:
    """The tenants that come first; a few at a time, as those behind cannot be chosen."""
    clock = shares.read_clock(work, service)
    waiting = ready_stages.waiting_tenants(work, service)
    found = shares.read_shares(work, service, waiting)
    in_order = sorted(found, key=lambda name: (max(clock, found[name].virtual_time), name))
    tenants: list[TenantQueue] = []
    step = n_free + _MORE
    for start in range(0, len(in_order), step):
        names = in_order[start : start + step]
        tenants += _read_tenants(work, service, {name: found[name] for name in names}, n_free, now)
        if len(tenants) >= n_free:
            break
    return ServiceQueue(service=service, n_free=n_free, clock=clock, tenants=tenants)


def _read_tenants(
    work: UnitOfWork, service: str, found: Mapping[str, Share], n_free: int, now: datetime
) -> list[TenantQueue]:
    """Those that have a stage which may be sent and a place for it."""
    names = list(found)
    first = ready_stages.first_of_tenants(work, service, names, now, limit=n_free)
    begun = jobs.count_begun(work, names)
    ids = [each.job_id for candidates in first.values() for each in candidates]
    stopped = stopped_jobs(work, ids, now) if ids else set()  # about to be canceled
    queues = []
    for name, share in found.items():
        n_places = max(share.max_running_jobs - begun.get(name, 0), 0)
        candidates = [
            each
            for each in first.get(name, ())
            if each.job_id not in stopped and (n_places or not each.is_new)
        ]
        if candidates:
            queues.append(
                TenantQueue(
                    tenant_id=name,
                    candidates=candidates,
                    weight=share.weight,
                    virtual_time=share.virtual_time,
                    n_places=n_places,
                )
            )
    return queues
