"""Sends ready stages to workers, as many as can be run now, in fair order.

What it reads grows with the number of tenants that wait and of places that are free, never with the
number of jobs. One gateway dispatches at a time.
"""

from collections.abc import Iterator
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
    Candidate,
    ServiceQueue,
    Snapshot,
    TenantQueue,
    choose_next,
    free_places,
)
from api.jobs.job import Job
from api.jobs.measure import Observe, observe_nothing
from api.jobs.signals import Dispatch

_LONGEST_TIE = 64
"""Tenants of equal standing that are looked at, so that interactive work goes first among them."""
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
    clock = shares.read_clock(work, service)
    waiting = ready_stages.waiting_tenants(work, service)
    found = shares.read_shares(work, service, waiting)
    in_order = sorted((max(clock, share.virtual_time), name) for name, share in found.items())
    tenants: list[TenantQueue] = []
    last = 0.0
    for start, name in in_order:
        is_enough = len(tenants) >= n_free and (start > last or len(tenants) >= _LONGEST_TIE)
        if is_enough:
            break
        queue = _read_tenant(work, service, name, found[name], n_free=n_free, now=now)
        if queue.candidates:
            tenants.append(queue)
            last = start
    return ServiceQueue(service=service, n_free=n_free, clock=clock, tenants=tenants)


def _read_tenant(
    work: UnitOfWork, service: str, tenant_id: str, share: Share, *, n_free: int, now: datetime
) -> TenantQueue:
    n_places = max(share.max_running_jobs - jobs.count_begun(work, tenant_id), 0)
    first = ready_stages.first_of_tenant(
        work, service, tenant_id, now, limit=n_free, with_new=n_places > 0
    )
    return TenantQueue(
        tenant_id=tenant_id,
        candidates=list(_without_stopped(work, first, now)),
        weight=share.weight,
        virtual_time=share.virtual_time,
        n_places=n_places,
    )


def _without_stopped(
    work: UnitOfWork, candidates: list[Candidate], now: datetime
) -> Iterator[Candidate]:
    """Leave out jobs whose consent has ended; they are about to be canceled."""
    stopped = stopped_jobs(work, [each.job_id for each in candidates], now)
    return (each for each in candidates if each.job_id not in stopped)
