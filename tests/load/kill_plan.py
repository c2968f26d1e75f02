"""When what is killed: drawn from a seed, in shares of the work that is done."""

import random
from collections.abc import Mapping
from typing import Literal, NamedTuple

Target = Literal["worker", "stage", "gateway", "broker", "store"]
SHARES: Mapping[Target, int] = {"worker": 20, "stage": 6, "gateway": 10, "broker": 6, "store": 6}
"""Of 48 kills. A worker and its stage die together; ``stage`` is the stage's process alone."""
_FIRST, _LAST = 0.02, 0.92
_TOGETHER = 0.25
"""Share of kills that come right after another, while that one still has its effect."""


class Moment(NamedTuple):
    """One kill to come."""

    target: Target
    at_share: float
    """Of all stages have succeeded."""
    then_seconds: float
    """After that was seen."""
    draw: float
    """0 to 1: which one, where there are several."""
    rest_seconds: float
    """Before a killed process is started again."""


def plan_kills(seed: int, n_kills: int) -> list[Moment]:
    """Moments in their order, some ``n_kills`` of them, the targets in proportion."""
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    total = sum(SHARES.values())
    targets = [
        target for target, share in SHARES.items() for _ in range(round(share * n_kills / total))
    ]
    draw.shuffle(targets)
    step = (_LAST - _FIRST) / max(len(targets), 1)
    moments: list[Moment] = []
    for number, target in enumerate(targets):
        is_together = bool(moments) and draw.random() < _TOGETHER
        at_share = moments[-1].at_share if is_together else _FIRST + step * (number + draw.random())
        moments.append(
            Moment(
                target,
                at_share,
                draw.uniform(0.2, 2.0) if is_together else draw.uniform(0.0, 0.5),
                draw.random(),
                draw.uniform(0.0, 1.0),
            )
        )
    return moments
