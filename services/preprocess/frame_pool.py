"""Works on several frames at once, handing the results on in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
R = TypeVar("R")


def map_frames(work: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
    """Yield ``work(item)`` of each item, in order.

    Runs on as many threads as torch may use, the number of compute threads of this process, and
    holds no more than twice as many items: memory is bounded, and the results do not depend on
    the number. ``items`` is iterated in the caller's thread.
    """
    n_threads = torch.get_num_threads()
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
