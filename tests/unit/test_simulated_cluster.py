"""The cluster on paper keeps the promises that the real one makes."""

import pytest

from api.jobs.plan import QueueClass
from shared.messaging.routes import SERVICES
from tests.load.arrivals import Load
from tests.load.cluster import Cluster, Result, percentile
from tests.load.pools import Limits, Pool, by_demand, fixed
from tests.load.simulate_cluster import WARM, make_load, seconds_by_service

LOAD = Load(n_jobs=600, hours=4.0, n_tenants=30, max_running_jobs=4)
WORKERS = dict.fromkeys(SERVICES, 4)


@pytest.fixture(scope="module")
def result() -> Result:
    """Six hundred jobs on twenty workers."""
    return Cluster(LOAD, fixed(WORKERS)).run()


def test_every_job_ends(result: Result) -> None:
    """With all stages of its plan, and no worker is left busy."""
    n_avatars = len(result.job_seconds["create_avatar"])

    assert LOAD.n_jobs == result.n_done
    assert 6 * n_avatars + 3 * (LOAD.n_jobs - n_avatars) == result.n_stages
    assert [0] * len(SERVICES) == [pool.busy for pool in result.pools.values()]


def test_a_burst_holds_nobody_else_up(result: Result) -> None:
    """Its own tenant waits for hours, others for minutes."""
    assert percentile(result.burst_waits, 0.95) > 10 * percentile(result.other_waits, 0.95)


def test_pools_that_follow_demand_are_cheaper_and_slower(result: Result) -> None:
    """What is saved is idle time; what is lost is the time that machines take to start."""
    scaled = Cluster(LOAD, by_demand(WORKERS, warm=WARM)).run()

    paid, paid_scaled = (
        sum(pool.paid_seconds for pool in each.pools.values()) for each in (result, scaled)
    )
    assert LOAD.n_jobs == scaled.n_done
    assert paid_scaled < 0.8 * paid
    batch = QueueClass.batch.value
    assert percentile(scaled.waits[batch], 0.5) >= percentile(result.waits[batch], 0.5)


def test_the_same_seed_plays_the_same(result: Result) -> None:
    """Equal to the second."""
    again = Cluster(LOAD, fixed(WORKERS)).run()

    assert (result.makespan, result.n_stages) == (again.makespan, again.n_stages)


def test_a_pool_starts_late_and_stops_late() -> None:
    """Workers live some time after they were wanted, and stay for a while after the last work."""
    pool = Pool(Limits(0, 5, start_seconds=60, idle_seconds=120))
    alive = []
    for now in range(600):
        pool.step(float(now), 3 if now < 300 else 0)
        alive.append(pool.alive)

    assert (0, 3, 3, 0) == (alive[59], alive[61], alive[380], alive[440])


def test_a_load_keeps_its_workers_busy_for_three_quarters() -> None:
    """So that a million jobs on a thousand workers are neither a crowd nor a desert."""
    load = make_load(1000, 10)

    asked = load.n_jobs * sum(seconds_by_service(load).values())
    assert 0.75 == pytest.approx(asked / (load.hours * 3600 * 10))
