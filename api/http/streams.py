"""How many streams and waiting requests a tenant has open; each costs memory, but no thread."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.http.problems import Refused
from api.http.rate_limits import Policy, Standing, rate_headers


class OpenStreams:
    """Counts within the event loop, which runs one request at a time."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def check(self, tenant_id: str, limit: int) -> None:
        """Refuse one more than ``limit``.

        Raises:
            Refused: ``too_many_streams_open``.
        """
        if self._open[tenant_id] >= limit:
            standing = Standing(Policy("concurrent-requests", limit, 1), 0, 1)
            raise Refused(
                "too_many_streams_open",
                f"{limit} event streams and waiting requests are open; close one first",
                headers={**rate_headers([standing]), "Retry-After": "5"},
            )

    @contextmanager
    def hold(self, tenant_id: str, limit: int) -> Iterator[None]:
        """Count one more while the block lasts; raises as ``check`` does."""
        self.check(tenant_id, limit)
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]
