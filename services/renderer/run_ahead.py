"""Lets a producer work in a thread of its own, a few items ahead of its consumer.

Numba, torch and the encoder release Python's lock, so stages chained this way overlap.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_POLL_S = 0.1


class _Failed(NamedTuple):
    error: BaseException


class _Ended(NamedTuple):
    pass


class _Handover(Generic[T]):
    """A bounded queue that the consumer may leave."""

    def __init__(self, n_ahead: int) -> None:
        self.items: Queue[T | _Failed | _Ended] = Queue(n_ahead)
        self.is_left = Event()

    def put(self, item: T | _Failed | _Ended) -> None:
        """Wait for room, unless the consumer has left."""
        while not self.is_left.is_set():
            try:
                self.items.put(item, timeout=_POLL_S)
            except Full:
                continue
            return

    def take(self) -> Generator[T, None, None]:
        """Yield items until the end; raise what the producer raised."""
        while not isinstance(item := self.items.get(), _Ended):
            if isinstance(item, _Failed):
                raise item.error
            yield item


@contextmanager
def run_ahead(items: Generator[T, None, None], n_ahead: int) -> Iterator[Generator[T, None, None]]:
    """Iterate over ``items`` in a thread; leaving the context stops it.

    Args:
        items: It runs in the thread; what it raises is raised at the consumer.
        n_ahead: Items held at most, so memory stays bounded.
    """
    handover: _Handover[T] = _Handover(n_ahead)
    thread = Thread(target=_produce, args=(items, handover), daemon=True)
    thread.start()
    try:
        yield handover.take()
    finally:
        handover.is_left.set()
        while thread.is_alive():
            try:
                handover.items.get_nowait()
            except Empty:
                thread.join(_POLL_S)


def _produce(items: Generator[T, None, None], handover: _Handover[T]) -> None:
    try:
        # Closed here, since what it entered (torch's grad mode) belongs to this thread.
        with closing(items):
            for item in items:
                handover.put(item)
                if handover.is_left.is_set():
                    return
    except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
        handover.put(_Failed(error))
    else:
        handover.put(_Ended())
