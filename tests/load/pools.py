"""Pools of workers on paper: of a fixed size, or scaled by demand as KEDA does it."""

import math
from collections import deque
from typing import NamedTuple

from shared.messaging.routes import SERVICES


class Limits(NamedTuple):
    """How a pool may grow."""

    least: int
    most: int
    start_seconds: float = 90.0
    """From wanted to working: machine, image, process."""
    idle_seconds: float = 300.0
    """Fewer were wanted for so long before any is taken away."""


class Scaling(NamedTuple):
    """Limits of each service's pool."""

    limits: dict[str, Limits]

    def of(self, service: str) -> Limits:
        """Of one service."""
        return self.limits[service]


_LOOK_SECONDS = 30.0


class Pool:
    """Workers of one service; only idle ones are taken away."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._starting: deque[float] = deque()
        self._recent: deque[int] = deque(maxlen=max(int(limits.idle_seconds / _LOOK_SECONDS), 1))
        self._look_at = 0.0
        self.alive = limits.least
        self.busy = 0
        self.paid_seconds = 0.0
        """Of living and starting workers."""
        self.busy_seconds = 0.0
        self.most = limits.least

    def step(self, now: float, n_waiting: int) -> None:
        """One second; demand is what waits and what runs, never the broker's queue depth."""
        while self._starting and self._starting[0] <= now:
            self._starting.popleft()
            self.alive += 1
        self.paid_seconds += self.alive + len(self._starting)
        self.busy_seconds += self.busy
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        limits = self._limits
        wanted = min(max(n_waiting + self.busy, limits.least), limits.most)
        self._recent.append(wanted)
        there = self.alive + len(self._starting)
        self._starting.extend([now + limits.start_seconds] * (wanted - there))
        if len(self._recent) == self._recent.maxlen:
            self.alive = max(min(self.alive, max(self._recent)), self.busy)
        self.most = max(self.most, self.alive + len(self._starting))


def fixed(workers: dict[str, int]) -> Scaling:
    """Pools that stay as they are."""
    return Scaling({name: Limits(n, n) for name, n in workers.items()})


def by_demand(workers: dict[str, int], *, warm: tuple[str, ...]) -> Scaling:
    """Pools up to ``workers``; of ``warm`` services one always lives, the others begin at none."""
    return Scaling({name: Limits(int(name in warm), n) for name, n in workers.items()})


def shares(total: int, seconds: dict[str, float]) -> dict[str, int]:
    """``total`` workers by the seconds that each service is asked for, at least one each."""
    whole = sum(seconds.values())
    return {name: max(1, math.floor(total * seconds[name] / whole)) for name in SERVICES}
