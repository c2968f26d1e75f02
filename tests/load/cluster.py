"""A cluster on paper: tenants, the dispatcher's own choice, and pools of workers, without servers.

Jobs are the product's plans; stage times those of ``services/embedded/capacity.py``, scattered by a
log-normal factor. Time goes in steps of one second, in which the dispatcher sends what fits, as the
engine does; places, quotas and order are those of ``choose_next``, ``free_places`` and the queue
table. What is simplified: no failures, no time of gateway, broker or store.
"""

import heapq
import math
import random
import statistics
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from api.jobs.choose_next import (
    Candidate,
    ServiceQueue,
    Snapshot,
    TenantQueue,
    choose_next,
    free_places,
)
from api.jobs.plan import QueueClass
from services.embedded.capacity import Demand, Kind, plan_of, stage_seconds
from shared.messaging.routes import SERVICES
from tests.load.arrivals import Load, draw_arrivals
from tests.load.pools import Pool, Scaling

MORE_TENANTS = 15
"""Looked at beyond the free places, as the dispatcher does."""
SCATTER = 0.35
"""Standard deviation of the logarithm of a stage's time."""
N_HEAVY = 20
"""Tenants that ask for most; what they wait for is mostly themselves."""
KINDS: tuple[Kind, ...] = ("create_avatar", "create_video")


@dataclass
class Result:
    """What came of it; times in seconds."""

    waits: dict[str, "array[float]"] = field(
        default_factory=lambda: {name.value: array("f") for name in QueueClass}
    )
    """By class: from ready to begun, of stages of tenants that ask for little."""
    heavy_waits: dict[str, "array[float]"] = field(
        default_factory=lambda: {name.value: array("f") for name in QueueClass}
    )
    """The same of those that ask for much, without the burst's."""
    job_seconds: dict[str, "array[float]"] = field(
        default_factory=lambda: {kind: array("f") for kind in KINDS}
    )
    """By kind: from request to end."""
    burst_waits: "array[float]" = field(default_factory=lambda: array("f"))
    """Of the tenant with the burst: from request to the begin of the first stage."""
    other_waits: "array[float]" = field(default_factory=lambda: array("f"))
    """Of those that ask for little."""
    n_done: int = 0
    n_stages: int = 0
    makespan: float = 0.0
    pools: dict[str, Pool] = field(default_factory=dict)


class _Stage(NamedTuple):
    """One stage of a plan, with numbers in place of names."""

    service: int
    is_interactive: bool
    needs: int
    """Bits of the stages that it waits for."""
    seconds: float


class _Tenant:
    """Queues of one tenant at one service: begun interactive, new interactive, begun, new batch."""

    __slots__ = ("queues", "time")

    def __init__(self) -> None:
        self.queues: tuple[deque[tuple[int, int]], ...] = (deque(), deque(), deque(), deque())
        self.time = 0.0


class Cluster:
    """The state of everything; ``run`` plays it to its end."""

    def __init__(self, load: Load, scaling: Scaling, seed: int = 1) -> None:
        self._load = load
        self._draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._plans = [_stages(kind) for kind in KINDS]
        self._kind, self._tenant, self._asked = array("b"), array("i"), array("f")
        self._done, self._left = array("i"), array("b")
        self._waiting: list[dict[int, _Tenant]] = [{} for _ in SERVICES]
        self._times: list[dict[int, float]] = [{} for _ in SERVICES]
        self._clocks = [0.0 for _ in SERVICES]
        self._running = [0] * (load.n_tenants + 1)
        self._sent: list[deque[tuple[int, int, float]]] = [deque() for _ in SERVICES]
        self._n_queued = [0 for _ in SERVICES]
        self._ends: list[tuple[float, int, int]] = []
        self.result = Result(pools={name: Pool(scaling.of(name)) for name in SERVICES})
        self._pools = [self.result.pools[name] for name in SERVICES]
        self._ready_at: dict[int, float] = {}

    def run(self) -> Result:
        """Until the last job has ended."""
        arrivals = draw_arrivals(self._load, self._draw)
        upcoming = next(arrivals, None)
        now = 0.0
        while upcoming is not None or self.result.n_done < len(self._kind):
            while upcoming is not None and upcoming[0] <= now:
                self._submit(*upcoming)
                upcoming = next(arrivals, None)
            while self._ends and self._ends[0][0] <= now:
                self._finish(*heapq.heappop(self._ends))
            self._dispatch(now)
            for number, pool in enumerate(self._pools):
                pool.step(now, self._n_queued[number] + len(self._sent[number]))
                self._begin(number, now)
            now += 1.0
        self.result.makespan = now
        return self.result

    def _submit(self, at: float, tenant: int, kind: int) -> None:
        job = len(self._kind)
        self._kind.append(kind)
        self._tenant.append(tenant)
        self._asked.append(at)
        self._done.append(0)
        self._left.append(len(self._plans[kind]))
        self._make_ready(job, at)

    def _make_ready(self, job: int, at: float) -> None:
        done, plan = self._done[job], self._plans[self._kind[job]]
        for number, stage in enumerate(plan):
            bit = 1 << number
            key = job * 16 + number
            if done & bit or key in self._ready_at or stage.needs & ~done:
                continue
            self._ready_at[key] = at
            tenants = self._waiting[stage.service]
            tenant = tenants.get(self._tenant[job])
            if tenant is None:
                tenant = tenants[self._tenant[job]] = _Tenant()
                tenant.time = self._times[stage.service].get(self._tenant[job], 0.0)
            tenant.queues[2 * (not stage.is_interactive) + (done == 0)].append((job, number))
            self._n_queued[stage.service] += 1

    def _finish(self, at: float, job: int, number: int) -> None:
        stage = self._plans[self._kind[job]][number]
        self._pools[stage.service].busy -= 1
        self._done[job] |= 1 << number
        del self._ready_at[job * 16 + number]
        self._left[job] -= 1
        if self._left[job]:
            self._make_ready(job, at)
            return
        self._running[self._tenant[job]] -= 1
        self.result.n_done += 1
        self.result.job_seconds[KINDS[self._kind[job]]].append(at - self._asked[job])

    def _dispatch(self, now: float) -> None:
        for number, tenants in enumerate(self._waiting):
            pool = self._pools[number]
            n_free = free_places(pool.alive, pool.busy + len(self._sent[number]), 0)
            if not tenants or not n_free:
                continue
            queue = ServiceQueue(
                service=SERVICES[number],
                n_free=n_free,
                clock=self._clocks[number],
                tenants=self._first(number, n_free),
            )
            for choice in choose_next(Snapshot(services=[queue])):
                self._clocks[number] = choice.clock
                for name, time in choice.virtual_times.items():
                    tenants[int(name)].time = self._times[number][int(name)] = time
                for job, stage in choice.stages:
                    self._send(number, int(job), int(stage), now)

    def _first(self, number: int, n_free: int) -> list[TenantQueue]:
        """The tenants that come first, with as many stages as could be sent."""
        clock, found = self._clocks[number], []
        tenants = self._waiting[number]
        first = heapq.nsmallest(
            n_free + MORE_TENANTS, tenants.items(), key=lambda pair: max(clock, pair[1].time)
        )
        limit = min(n_free, self._load.max_running_jobs + 2)
        for tenant_id, tenant in first:
            places = self._load.max_running_jobs - self._running[tenant_id]
            candidates = [
                Candidate(
                    job_id=str(job),
                    stage=str(stage),
                    is_interactive=rank < 2,
                    is_new=bool(rank % 2),
                )
                for rank, queue in enumerate(tenant.queues)
                if places > 0 or not rank % 2
                for job, stage in _head(queue, limit)
            ]
            if candidates:
                found.append(
                    TenantQueue(
                        tenant_id=str(tenant_id),
                        candidates=candidates,
                        virtual_time=tenant.time,
                        n_places=max(places, 0),
                    )
                )
        return found

    def _send(self, number: int, job: int, stage: int, now: float) -> None:
        tenant_id = self._tenant[job]
        tenant = self._waiting[number][tenant_id]
        for rank, queue in enumerate(tenant.queues):
            if queue and (job, stage) in _head(queue, self._load.max_running_jobs + 2):
                queue.remove((job, stage))
                if rank % 2:
                    self._running[tenant_id] += 1
                    waits = self.result
                    if tenant_id == 0:
                        waits.burst_waits.append(now - self._asked[job])
                    elif tenant_id > N_HEAVY:
                        waits.other_waits.append(now - self._asked[job])
                break
        if not any(tenant.queues):
            del self._waiting[number][tenant_id]
        self._n_queued[number] -= 1
        self._sent[number].append((job, stage, self._ready_at[job * 16 + stage]))

    def _begin(self, number: int, now: float) -> None:
        pool, sent = self._pools[number], self._sent[number]
        while sent and pool.busy < pool.alive:
            job, stage_number, ready_at = sent.popleft()
            stage = self._plans[self._kind[job]][stage_number]
            pool.busy += 1
            seconds = stage.seconds * math.exp(self._draw.gauss(-(SCATTER**2) / 2, SCATTER))
            heapq.heappush(self._ends, (now + seconds, job, stage_number))
            if self._tenant[job]:
                kind = QueueClass.interactive if stage.is_interactive else QueueClass.batch
                is_heavy = self._tenant[job] <= N_HEAVY
                waits = self.result.heavy_waits if is_heavy else self.result.waits
                waits[kind.value].append(now - ready_at)
            self.result.n_stages += 1


def percentile(values: Sequence[float], share: float) -> float:
    """Value that ``share`` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def mean(values: Sequence[float]) -> float:
    """0 of none."""
    return statistics.fmean(values) if values else 0.0


def _head(queue: deque[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    return [queue[index] for index in range(min(n, len(queue)))]


def _stages(kind: Kind) -> tuple[_Stage, ...]:
    plan, demand = plan_of(kind), Demand()
    place = {stage.name: number for number, stage in enumerate(plan)}
    return tuple(
        _Stage(
            service=SERVICES.index(stage.service),
            is_interactive=stage.queue_class is QueueClass.interactive,
            needs=sum(1 << place[name] for name in stage.needs),
            seconds=stage_seconds(kind, stage.name, demand),
        )
        for stage in plan
    )
