"""Why a run of a stage is stopped before its end, and how everyone is told."""

import threading
from collections.abc import Callable
from typing import Literal

StopReason = Literal["canceled", "deadline", "lease", "shutdown"]


class StageStopped(Exception):
    """Raised wherever a run notices that it shall stop."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Stop:
    """A request to stop one run; the first reason counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = threading.Event()
        self._reason: StopReason | None = None
        self._on_stop: Callable[[], None] | None = None

    @property
    def reason(self) -> StopReason | None:
        """Why, or None."""
        return self._reason

    def request(self, reason: StopReason) -> None:
        """Ask the run to stop, and do at once what was attached."""
        with self._lock:
            self._reason = self._reason or reason
            self._requested.set()
            if self._on_stop is not None:
                self._on_stop()

    def attach(self, on_stop: Callable[[], None]) -> None:
        """Have ``on_stop`` called on a request, now if there was one."""
        with self._lock:
            self._on_stop = on_stop
            if self._reason is not None:
                on_stop()

    def check(self) -> None:
        """Raise ``StageStopped`` if the run shall stop."""
        if self._reason is not None:
            raise StageStopped(self._reason)

    def wait(self, seconds: float) -> None:
        """Sleep, and raise ``StageStopped`` as soon as the run shall stop."""
        self._requested.wait(seconds)
        self.check()

    def checked(self, _n_bytes: int) -> None:
        """``check`` as a transfer's progress."""
        self.check()


class Runs:
    """What a worker runs now, so that cancels find it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: dict[tuple[str, str, int], Stop] = {}

    @property
    def n_busy(self) -> int:
        """How many stages are running."""
        return len(self._stops)

    def begin(self, key: tuple[str, str, int]) -> Stop:
        """Note a run of (job, stage, attempt)."""
        stop = Stop()
        with self._lock:
            self._stops[key] = stop
        return stop

    def end(self, key: tuple[str, str, int]) -> None:
        """Forget a run."""
        with self._lock:
            self._stops.pop(key, None)

    def cancel(self, key: tuple[str, str, int]) -> None:
        """Stop a run if it is one of ours."""
        with self._lock:
            stop = self._stops.get(key)
        if stop is not None:
            stop.request("canceled")

    def stop_all(self) -> None:
        """The worker leaves; its runs go to others."""
        with self._lock:
            stops = list(self._stops.values())
        for stop in stops:
            stop.request("shutdown")
