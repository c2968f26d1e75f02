"""The thread between two stages of a pipeline."""

import threading
from collections.abc import Generator

import pytest

from services.renderer.run_ahead import run_ahead


def counting(n: int, seen: list[int]) -> Generator[int, None, None]:
    """Numbers, noted as they are made."""
    for i in range(n):
        seen.append(i)
        yield i


def test_items_arrive_in_order_from_another_thread() -> None:
    """Nothing is lost, doubled or reordered."""
    seen: list[int] = []

    with run_ahead(counting(50, seen), 3) as items:
        found = list(items)

    assert list(range(50)) == found


def test_producer_is_only_a_few_items_ahead() -> None:
    """Memory stays bounded however slow the consumer is."""
    seen: list[int] = []

    with run_ahead(counting(10_000, seen), 3) as items:
        for _ in range(5):
            next(items)
        n_made = len(seen)

    assert n_made <= 5 + 3 + 1


def test_an_error_reaches_the_consumer() -> None:
    """After the items that were made before it."""

    def failing() -> Generator[int, None, None]:
        yield 1
        raise ValueError("broken")

    with run_ahead(failing(), 3) as items:
        assert 1 == next(items)
        with pytest.raises(ValueError, match="broken"):
            next(items)


def test_leaving_stops_the_thread_and_closes_the_producer() -> None:
    """Also when two stages are chained and the consumer fails."""
    closed: list[str] = []

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    def passing(items: Generator[int, None, None]) -> Generator[int, None, None]:
        yield from items

    def fail_after_one() -> None:
        with run_ahead(endless(), 2) as first, run_ahead(passing(first), 2) as second:
            next(second)
            raise RuntimeError("consumer")

    n_threads = threading.active_count()
    with pytest.raises(RuntimeError, match="consumer"):
        fail_after_one()

    assert n_threads == threading.active_count()
    assert 1 == len(closed)
    assert threading.current_thread().name not in closed
