"""Scale on paper: ``python -m tests.load.simulate_cluster [--jobs N] [--workers N]``.

Plays the same load against pools of a fixed size and against pools that follow demand.
"""

import argparse
import sys
import time

from api.jobs.plan import QueueClass
from services.embedded.capacity import Demand, Kind, plan_of, stage_seconds
from shared.messaging.routes import SERVICES
from tests.load.arrivals import Load
from tests.load.cluster import KINDS, N_HEAVY, Cluster, Result, mean, percentile
from tests.load.pools import Scaling, by_demand, fixed, shares

N_JOBS, N_WORKERS = 1_000_000, 1000
UTILIZATION = 0.75
"""Of the fixed pools over the whole time, which decides how many hours the jobs are spread over."""
PRICE = 0.1
"""Of a worker's hour, in any currency: an assumption, the same for all pools."""
WARM = ("audio2motion", "renderer", "evaluator")
MOST_MINUTES = 10.0


def seconds_by_service(load: Load) -> dict[str, float]:
    """Worker seconds that one average job asks of each service."""
    share: dict[Kind, float] = {
        "create_avatar": 1 - load.video_share,
        "create_video": load.video_share,
    }
    found = dict.fromkeys(SERVICES, 0.0)
    for kind in KINDS:
        for stage in plan_of(kind):
            found[stage.service] += share[kind] * stage_seconds(kind, stage.name, Demand())
    return found


def make_load(n_jobs: int, n_workers: int) -> Load:
    """Jobs spread over as many hours as keep ``n_workers`` busy for ``UTILIZATION``.

    No tenant may have more jobs under way than a fifth of the workers.
    """
    bare = Load(n_jobs, 1.0)
    hours = n_jobs * sum(seconds_by_service(bare).values()) / n_workers / UTILIZATION / 3600
    return bare._replace(hours=hours, max_running_jobs=max(n_workers // 5, 4))


def describe(name: str, result: Result, took: float) -> str:
    """A few lines."""
    paid = sum(pool.paid_seconds for pool in result.pools.values())
    busy = sum(pool.busy_seconds for pool in result.pools.values())
    head = (
        f"{name}: {result.n_done} jobs, {result.n_stages} stages in "
        f"{result.makespan / 3600:.1f} h of the cluster, played in {took:.0f} s"
    )
    lines = [head]
    for whose, by_class in (
        ("tenants that ask for little", result.waits),
        (f"the {N_HEAVY} that ask for most", result.heavy_waits),
    ):
        for kind in QueueClass:
            waits = by_class[kind.value]
            p50, p95, p99 = (percentile(waits, share) for share in (0.5, 0.95, 0.99))
            lines.append(
                f"  {kind.value} stages of {whose} waited {mean(waits):.1f} s on average, "
                f"{p50:.0f} / {p95:.0f} / {p99:.0f} s (p50, p95, p99)"
            )
    lines.append(
        f"  a job's first stage: {percentile(result.other_waits, 0.95):.0f} s (p95) for tenants "
        f"that ask for little, {percentile(result.burst_waits, 0.95):.0f} s for the burst's"
    )
    use = ", ".join(
        f"{service} {pool.busy_seconds / max(pool.paid_seconds, 1):.2f} of at most {pool.most}"
        for service, pool in result.pools.items()
    )
    lines.append(f"  busy: {use}")
    cost = paid / 3600 * PRICE
    lines.append(
        f"  {paid / 3600:.0f} worker hours paid, {busy / paid:.2f} of them busy; "
        f"{cost / result.n_done:.4f} a job at {PRICE} an hour"
    )
    return "\n".join(lines)


def play(load: Load, scaling: Scaling) -> tuple[Result, float]:
    """The result, and the seconds that playing took."""
    began = time.perf_counter()
    return Cluster(load, scaling).run(), time.perf_counter() - began


def main() -> int:
    """Play both, print, and fail where it takes longer than it may."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=N_JOBS)
    parser.add_argument("--workers", type=int, default=N_WORKERS)
    chosen = parser.parse_args()
    load = make_load(chosen.jobs, chosen.workers)
    pools = shares(chosen.workers, seconds_by_service(load))
    took = 0.0
    for name, scaling in (
        ("fixed", fixed(pools)),
        ("by demand", by_demand(pools, warm=WARM)),
    ):
        result, seconds = play(load, scaling)
        took += seconds
        print(describe(name, result, seconds), flush=True)  # noqa: T201
    return 0 if took <= 60 * MOST_MINUTES else 1


if __name__ == "__main__":
    sys.exit(main())
