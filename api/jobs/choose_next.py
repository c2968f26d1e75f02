"""Chooses what runs next: weighted fair between tenants, pure, from a small snapshot.

Start-time fair queueing (Goyal, Vin, Cheng 1996): each service has a virtual clock, each tenant a
virtual time at it. Sending a stage costs ``1 / weight``; the tenant with the least time is next,
and one that comes back from doing nothing starts at the clock: it has neither debts nor savings. A
newcomer is therefore at most one stage away from its turn, however long the others' queues are.

The snapshot names the first ready stages of each tenant, so its size depends on the number of
tenants that wait, never on the number of jobs.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A ready stage; its tenant's own order was decided before."""

    job_id: str
    stage: str
    is_interactive: bool
    is_new: bool
    """Its job has not begun, so that it takes one of the tenant's places."""


@dataclass(frozen=True, kw_only=True)
class TenantQueue:
    """One tenant's turn at one service."""

    tenant_id: str
    candidates: Sequence[Candidate]
    """The first ones of its queue, in order; a few are enough."""
    weight: float = 1.0
    virtual_time: float = 0.0
    """Where its next stage would start; from the past."""
    n_places: int = 1_000_000
    """Jobs that it may still begin."""


@dataclass(frozen=True, kw_only=True)
class ServiceQueue:
    """One service: how much it can take, and who waits."""

    service: str
    n_free: int
    """Places for commands, see ``free_places``."""
    clock: float = 0.0
    """Virtual time at which the newest stage started."""
    tenants: Sequence[TenantQueue] = ()


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the dispatcher sees at one moment."""

    services: Sequence[ServiceQueue]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to send, in order, and the virtual times to remember."""

    service: str
    stages: tuple[tuple[str, str], ...]
    """Job id and stage."""
    clock: float
    virtual_times: Mapping[str, float]
    """Tenant id -> new virtual time, of those that were chosen."""


@dataclass(order=True)
class _Turn:
    """A tenant in line; the order of fields is the order of tenants."""

    start: float
    batch: bool
    """Interactive work goes first among equals."""
    rank: float
    tenant_id: str
    queue: TenantQueue = field(compare=False)
    candidates: list[Candidate] = field(compare=False)


def choose_next(snapshot: Snapshot) -> tuple[Choice, ...]:
    """Stages to send now, for each service that has both room and work.

    A tenant's places are counted over all services, in their order.
    """
    places = {
        queue.tenant_id: queue.n_places
        for service in snapshot.services
        for queue in service.tenants
    }
    begun: set[str] = set()
    choices = (_choose(service, places, begun) for service in snapshot.services)
    return tuple(choice for choice in choices if choice.stages)


def free_places(n_slots: int, n_in_flight: int, headroom: int) -> int:
    """Commands that a service can take: live slots and head-room, less what is under way.

    Where no worker lives, one command still goes out, so that one that scales up from nothing, or
    runs once, finds it.
    """
    return max(max(n_slots + headroom, 1) - n_in_flight, 0)


def _choose(service: ServiceQueue, places: dict[str, int], begun: set[str]) -> Choice:
    line = [_turn(queue, service.clock, list(queue.candidates)) for queue in service.tenants]
    heapq.heapify(line)
    clock = service.clock
    chosen: list[tuple[str, str]] = []
    times: dict[str, float] = {}
    while line and len(chosen) < service.n_free:
        turn = heapq.heappop(line)
        found = _take(turn, places, begun)
        if found is None:
            continue
        clock = turn.start
        spent = turn.start + 1.0 / turn.queue.weight
        times[turn.tenant_id] = spent
        chosen.append((found.job_id, found.stage))
        if turn.candidates:
            heapq.heappush(line, _turn(turn.queue, spent, turn.candidates))
    return Choice(service=service.service, stages=tuple(chosen), clock=clock, virtual_times=times)


def _turn(queue: TenantQueue, clock: float, candidates: list[Candidate]) -> _Turn:
    is_batch = not (candidates and candidates[0].is_interactive)
    start = max(clock, queue.virtual_time)
    return _Turn(start, is_batch, -queue.weight, queue.tenant_id, queue, candidates)


def _take(turn: _Turn, places: dict[str, int], begun: set[str]) -> Candidate | None:
    """The tenant's first candidate that it has a place for."""
    for index, candidate in enumerate(turn.candidates):
        if candidate.is_new and candidate.job_id not in begun:
            if places[turn.tenant_id] <= 0:
                continue
            places[turn.tenant_id] -= 1
            begun.add(candidate.job_id)
        del turn.candidates[index]
        return candidate
    return None
