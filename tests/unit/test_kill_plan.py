"""The kill test's plan, and the simulation of fair order in small."""

from collections import Counter

from tests.load.kill_plan import plan_kills
from tests.load.simulate import simulate


def test_a_plan_follows_from_its_seed() -> None:
    """The same kills at the same moments, and others for another seed."""
    assert plan_kills(1, 48) == plan_kills(1, 48)
    assert plan_kills(1, 48) != plan_kills(2, 48)


def test_a_plan_kills_each_part_often_enough() -> None:
    """What the kill test demands, and in the order of the work that is done."""
    moments = plan_kills(1, 48)
    counts = Counter(moment.target for moment in moments)
    shares = [moment.at_share for moment in moments]

    assert 48 == len(moments)
    assert min(counts.values()) >= 5
    assert sorted(shares) == shares
    assert 0 < shares[0] < shares[-1] < 1


def test_single_jobs_wait_less_than_one_job_length() -> None:
    """Behind a hundred thousand queued ones of others."""
    outcome = simulate(n_arrivals=500)

    assert 400 < len(outcome.waited)
    assert max(outcome.waited) <= 1.0
