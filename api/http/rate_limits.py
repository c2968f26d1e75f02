"""How often a tenant may ask: fixed windows in memory, and the RateLimit header fields.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/. Each gateway process counts
for itself, so that counting costs no query; with n gateways a tenant may ask n times as often.
"""

import math
import threading
from typing import NamedTuple

from api.http.problems import Refused

_MAX_WINDOWS = 50_000


class Policy(NamedTuple):
    """So many requests in so many seconds."""

    name: str
    quota: int
    window_seconds: int

    @property
    def header(self) -> str:
        """Item of ``RateLimit-Policy``."""
        return f'"{self.name}";q={self.quota};w={self.window_seconds}'


class Standing(NamedTuple):
    """What is left of a policy to one caller."""

    policy: Policy
    remaining: int
    reset_seconds: int
    """Whole seconds until the window ends; at least 1."""

    @property
    def header(self) -> str:
        """Item of ``RateLimit``."""
        return f'"{self.policy.name}";r={self.remaining};t={self.reset_seconds}'


class RateLimiter:
    """Counts requests per caller and policy."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, caller: str, policy: Policy, now: float) -> Standing:
        """Count one request.

        Args:
            caller: Whose request it is; a tenant id.
            policy: What is counted.
            now: Monotonic seconds.

        Raises:
            Refused: ``rate_limited`` when nothing is left.
        """
        with self._lock:
            if len(self._windows) > _MAX_WINDOWS:
                self._forget(now)
            started, n_taken = self._windows.get((caller, policy.name), (now, 0))
            if now - started >= policy.window_seconds:
                started, n_taken = now, 0
            reset = max(1, math.ceil(started + policy.window_seconds - now))
            if n_taken < policy.quota:
                self._windows[caller, policy.name] = (started, n_taken + 1)
        standing = Standing(policy, max(0, policy.quota - n_taken - 1), reset)
        if n_taken >= policy.quota:
            raise Refused(
                "rate_limited",
                f"more than {policy.quota} {policy.name} in {policy.window_seconds} s; "
                f"try again in {reset} s",
                headers={**rate_headers([standing]), "Retry-After": str(reset)},
            )
        return standing

    def _forget(self, now: float) -> None:
        """Drop windows that ended; an hour is longer than any."""
        self._windows = {key: w for key, w in self._windows.items() if now - w[0] < _LONGEST}


_LONGEST = 3600.0


def rate_headers(standings: list[Standing]) -> dict[str, str]:
    """The two header fields for what was counted; none where nothing was."""
    if not standings:
        return {}
    return {
        "RateLimit-Policy": ", ".join(standing.policy.header for standing in standings),
        "RateLimit": ", ".join(standing.header for standing in standings),
    }
