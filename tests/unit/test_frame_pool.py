"""Frames are worked on in parallel without mixing them up or holding them all."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from services.preprocess.frame_pool import map_frames


def test_results_come_in_order() -> None:
    """Early items that take long are still first."""

    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0.0)
        return 10 * item

    assert [0, 10, 20, 30, 40] == list(map_frames(slow_first, range(5)))


def test_few_items_are_held() -> None:
    """No more than two per thread are taken ahead of the consumer."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken += 1
            yield item

    results = map_frames(lambda item: item, items())
    next(results)

    assert taken <= 2 * torch.get_num_threads() + 1


def test_items_are_made_in_the_callers_thread() -> None:
    """Sources that belong to one thread, such as a neural network's graph, are safe."""
    threads = []

    def items() -> Iterator[int]:
        for item in range(4):
            threads.append(threading.current_thread())
            yield item

    list(map_frames(lambda item: item, items()))

    assert {threading.current_thread()} == set(threads)


def test_errors_reach_the_caller() -> None:
    """What goes wrong in a thread is raised."""

    def fail(item: int) -> int:
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(map_frames(fail, range(3)))
