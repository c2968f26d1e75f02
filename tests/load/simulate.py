"""Fair order at scale, without servers: ``python -m tests.load.simulate``.

One service with many workers; a few tenants have queued very much, many others ask for a single job
now and then. The dispatcher's own ``choose_next`` fills every place that becomes free, from
snapshots like those that the dispatcher reads.
"""

import heapq
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from api.jobs.choose_next import Candidate, ServiceQueue, Snapshot, TenantQueue, choose_next

N_WORKERS = 50
N_HEAVY, N_QUEUED = 4, 25_000
N_LIGHT, N_ARRIVALS = 1_000, 20_000
JOB_SECONDS = (10.0, 60.0)
LIGHT_SHARE = 0.4
"""Of the workers' time that the single jobs ask for."""
WEIGHTS = (1.0, 1.0, 2.0, 4.0)
N_SHOWN = 4


@dataclass
class Outcome:
    """What the simulation shows."""

    waited: list[float] = field(default_factory=list)
    """Of single jobs: seconds until a worker took them up, in longest job lengths."""
    served: dict[str, float] = field(default_factory=dict)
    """Seconds of work by heavy tenant, while all of them waited."""
    choose_seconds: list[float] = field(default_factory=list)


@dataclass
class Queues:
    """What waits, by tenant: moment of arrival and length of each job."""

    waiting: dict[str, deque[tuple[float, float]]]
    weights: Mapping[str, float]
    times: dict[str, float] = field(default_factory=dict)
    clock: float = 0.0

    def snapshot(self, n_free: int) -> Snapshot:
        """What the dispatcher would read."""
        tenants = [
            TenantQueue(
                tenant_id=name,
                candidates=[
                    Candidate(job_id=name, stage=str(n), is_interactive=False, is_new=False)
                    for n in range(min(len(queue), max(N_SHOWN, n_free)))
                ],
                weight=self.weights.get(name, 1.0),
                virtual_time=self.times.get(name, 0.0),
            )
            for name, queue in self.waiting.items()
        ]
        service = ServiceQueue(service="x", n_free=n_free, clock=self.clock, tenants=tenants)
        return Snapshot(services=[service])


def simulate(seed: int = 1, n_arrivals: int = N_ARRIVALS) -> Outcome:
    """Run until the last single job has arrived; every heavy queue is then still long."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    heavy = {f"heavy-{n}": weight for n, weight in enumerate(WEIGHTS)}
    queues = Queues(
        {name: deque((0.0, draw.uniform(*JOB_SECONDS)) for _ in range(N_QUEUED)) for name in heavy},
        heavy,
    )
    mean = sum(JOB_SECONDS) / 2
    gap = mean / N_WORKERS / LIGHT_SHARE
    arrivals = [draw.expovariate(1 / gap) for _ in range(n_arrivals)]
    outcome = Outcome()
    running: list[float] = []
    now, next_arrival, n_arrived = 0.0, arrivals[0], 0
    while n_arrived < n_arrivals:
        _fill(queues, running, now, outcome)
        now = min(next_arrival, running[0] if len(running) == N_WORKERS else next_arrival)
        while running and running[0] <= now:
            heapq.heappop(running)
        if now == next_arrival:
            name = f"light-{draw.randrange(N_LIGHT)}"
            job = (now, draw.uniform(*JOB_SECONDS))
            queues.waiting.setdefault(name, deque()).append(job)
            n_arrived += 1
            next_arrival = now + arrivals[min(n_arrived, n_arrivals - 1)]
    return outcome


def main() -> int:
    """Simulate, print, and fail where a promise is broken."""
    outcome = simulate()
    total = sum(outcome.served.values())
    shares = {name: round(n / total, 3) for name, n in sorted(outcome.served.items())}
    wanted = [round(weight / sum(WEIGHTS), 3) for weight in WEIGHTS]
    longest = max(outcome.waited)
    cost = 1000 * statistics.median(outcome.choose_seconds)
    print(  # noqa: T201
        f"{len(outcome.waited)} single jobs behind {N_HEAVY * N_QUEUED} queued ones, {N_WORKERS} "
        f"workers: they waited {statistics.mean(outcome.waited):.3f} longest job lengths on "
        f"average, {longest:.2f} at most\n"
        f"shares of the heavy tenants {list(shares.values())}, by weight {wanted}\n"
        f"one choice takes {cost:.2f} ms (median)"
    )
    is_fair = all(abs(a - b) < 0.02 for a, b in zip(shares.values(), wanted, strict=True))
    return 0 if longest <= 1.0 and is_fair else 1


def _fill(queues: Queues, running: list[float], now: float, outcome: Outcome) -> None:
    n_free = N_WORKERS - len(running)
    if not n_free:
        return
    snapshot = queues.snapshot(n_free)
    began = time.perf_counter()
    choices = choose_next(snapshot)
    outcome.choose_seconds.append(time.perf_counter() - began)
    for choice in choices:
        queues.clock = choice.clock
        queues.times.update(choice.virtual_times)
        for name, _stage in choice.stages:
            arrived_at, seconds = queues.waiting[name].popleft()
            heapq.heappush(running, now + seconds)
            if name in queues.weights:
                outcome.served[name] = outcome.served.get(name, 0.0) + seconds
            else:
                outcome.waited.append((now - arrived_at) / JOB_SECONDS[1])
                if not queues.waiting[name]:
                    del queues.waiting[name]


if __name__ == "__main__":
    sys.exit(main())
