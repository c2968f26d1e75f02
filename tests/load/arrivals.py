"""Who asks for what, and when: few tenants for most, more by day than by night, and one at once."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from api.db.records import Quotas


class Load(NamedTuple):
    """Who asks for what."""

    n_jobs: int
    hours: float
    """Over which they come, more by day than by night."""
    n_tenants: int = 1000
    video_share: float = 0.8
    burst_share: float = 0.1
    """Of all jobs, which one tenant submits at once a third of the way."""
    max_running_jobs: int = Quotas().max_running_jobs


def draw_arrivals(load: Load, draw: random.Random) -> Iterator[tuple[float, int, int]]:
    """Moments, tenants (0 is the one with the burst) and kinds; few tenants ask for most."""
    n_burst = int(load.burst_share * load.n_jobs)
    span = load.hours * 3600
    moments = sorted(_moment(draw, span) for _ in range(load.n_jobs - n_burst))
    weights = [1 / (rank + 1) for rank in range(load.n_tenants)]
    names = draw.choices(range(1, load.n_tenants + 1), weights, k=len(moments))
    burst_at, is_over = span / 3, False
    for moment, name in zip(moments, names, strict=True):
        if moment >= burst_at and not is_over:
            is_over = True
            for _ in range(n_burst):
                yield burst_at, 0, int(draw.random() < load.video_share)
        yield moment, name, int(draw.random() < load.video_share)


def _moment(draw: random.Random, span: float) -> float:
    """Three times as many in the busiest hour as in the quietest; a day is 24 hours."""
    while True:
        at = draw.random() * span
        if draw.random() * 1.5 <= 1 + 0.5 * math.sin(2 * math.pi * at / 86400 - math.pi / 2):
            return at
