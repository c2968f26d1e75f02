"""Fair order between tenants, seen over whole runs of a small world."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.jobs.choose_next import (
    Candidate,
    Choice,
    ServiceQueue,
    Snapshot,
    TenantQueue,
    choose_next,
    free_places,
)


def _candidate(job_id: str, *, is_new: bool = True, is_interactive: bool = False) -> Candidate:
    return Candidate(job_id=job_id, stage="s", is_interactive=is_interactive, is_new=is_new)


@dataclass
class World:
    """Workers of one service that each run a stage for one tick, and tenants' queues."""

    n_workers: int
    queues: dict[str, list[Candidate]]
    weights: dict[str, float] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    clock: float = 0.0
    n_shown: int = 4

    def tick(self) -> list[str]:
        """Fill every worker once; the tenants that were served, in order."""
        tenants = [
            TenantQueue(
                tenant_id=name,
                candidates=queue[: self.n_shown],
                weight=self.weights.get(name, 1.0),
                virtual_time=self.times.get(name, 0.0),
            )
            for name, queue in self.queues.items()
            if queue
        ]
        service = ServiceQueue(
            service="x", n_free=self.n_workers, clock=self.clock, tenants=tenants
        )
        served: list[str] = []
        for choice in choose_next(Snapshot(services=[service])):
            self.clock, self.times = choice.clock, self.times | dict(choice.virtual_times)
            for job_id, _ in choice.stages:
                owner = job_id.split("-")[0]
                self.queues[owner] = [c for c in self.queues[owner] if c.job_id != job_id]
                served.append(owner)
        return served


def _queue(owner: str, n: int) -> list[Candidate]:
    return [_candidate(f"{owner}-{i}") for i in range(n)]


@pytest.mark.parametrize("n_workers", [1, 2, 5])
@pytest.mark.parametrize("n_before", [1, 7, 100])
def test_a_newcomer_waits_at_most_one_job_length(n_workers: int, n_before: int) -> None:
    """A thousand jobs of another tenant do not matter, nor how long it has been served."""
    world = World(n_workers, {"many": _queue("many", 1000)})
    for _ in range(n_before):
        world.tick()
    world.queues["one"] = _queue("one", 1)

    assert "one" in world.tick()


def test_a_tenant_that_was_away_has_no_savings() -> None:
    """It does not push others aside for what it did not use."""
    world = World(1, {"a": _queue("a", 200)})
    for _ in range(100):
        world.tick()
    world.queues["b"] = _queue("b", 50)
    served = [world.tick()[0] for _ in range(40)]

    assert {"a": 20, "b": 20} == Counter(served)


def test_weights_divide_the_workers() -> None:
    """Weight three gets three times as much as weight one while both wait."""
    world = World(2, {"a": _queue("a", 500), "b": _queue("b", 500)}, {"a": 3.0, "b": 1.0})
    served = Counter(name for _ in range(100) for name in world.tick())

    assert 150 == pytest.approx(served["a"], abs=2)


def test_a_lone_tenant_gets_every_worker() -> None:
    """Nothing is kept back for those who want nothing."""
    assert ["a"] * 3 == World(3, {"a": _queue("a", 3)}).tick()


def test_interactive_work_goes_first_among_equals() -> None:
    """Of two newcomers the one with somebody waiting is served first."""
    waiting = [_candidate("b-0", is_interactive=True)]
    world = World(1, {"a": _queue("a", 1), "b": waiting})

    assert ["b"] == world.tick()


def _service(name: str, tenant: TenantQueue, n_free: int = 10) -> ServiceQueue:
    return ServiceQueue(service=name, n_free=n_free, tenants=[tenant])


def test_a_tenant_begins_no_more_jobs_than_it_has_places() -> None:
    """Over all services together; stages of begun jobs take no place."""
    first = TenantQueue(tenant_id="a", candidates=_queue("a", 3), n_places=1)
    begun = [_candidate("a-9", is_new=False), _candidate("a-8"), _candidate("a-7", is_new=False)]
    second = TenantQueue(tenant_id="a", candidates=begun, n_places=1)
    choices = choose_next(Snapshot(services=[_service("x", first), _service("y", second)]))

    assert [(("a-0", "s"),), (("a-9", "s"), ("a-7", "s"))] == [each.stages for each in choices]


def test_both_first_stages_of_a_job_take_one_place() -> None:
    """A job that begins at two services begins once."""
    queue = TenantQueue(tenant_id="a", candidates=[_candidate("a-0")], n_places=1)
    choices = choose_next(Snapshot(services=[_service("x", queue), _service("y", queue)]))

    assert ["x", "y"] == [each.service for each in choices]


def test_nothing_is_chosen_without_room_or_work() -> None:
    """A full service and an empty one."""
    full = _service("x", TenantQueue(tenant_id="a", candidates=_queue("a", 3)), n_free=0)
    empty = ServiceQueue(service="y", n_free=5)

    assert () == choose_next(Snapshot(services=[full, empty]))


def test_commands_never_exceed_live_slots_and_headroom() -> None:
    """And one goes out where nobody lives, for a worker that is yet to start."""
    assert 3 == free_places(n_slots=4, n_in_flight=1, headroom=0)
    assert 2 == free_places(n_slots=0, n_in_flight=0, headroom=2)
    assert 1 == free_places(n_slots=0, n_in_flight=0, headroom=0)
    assert 0 == free_places(n_slots=0, n_in_flight=1, headroom=0)
    assert 0 == free_places(n_slots=2, n_in_flight=9, headroom=1)


_TENANTS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.integers(0, 6), st.floats(0.1, 10), st.floats(0, 50), st.integers(0, 4)),
    max_size=6,
)


@given(tenants=_TENANTS, n_free=st.integers(0, 12), clock=st.floats(0, 50))
def test_any_choice_is_sound(
    tenants: dict[str, tuple[int, float, float, int]], n_free: int, clock: float
) -> None:
    """Never too many, never twice, never over a tenant's places, never idle for no reason."""
    queues = [
        TenantQueue(
            tenant_id=name, candidates=_queue(name, n), weight=w, virtual_time=t, n_places=p
        )
        for name, (n, w, t, p) in tenants.items()
    ]
    service = ServiceQueue(service="x", n_free=n_free, clock=clock, tenants=queues)
    choices: tuple[Choice, ...] = choose_next(Snapshot(services=[service]))
    chosen = [job_id for each in choices for job_id, _ in each.stages]

    possible = sum(min(n, p) for n, _, _, p in tenants.values())
    assert min(n_free, possible) == len(chosen) == len(set(chosen))
    for name, (_, _, _, p) in tenants.items():
        assert sum(job_id.startswith(name) for job_id in chosen) <= p
    assert all(clock <= each.clock for each in choices)
