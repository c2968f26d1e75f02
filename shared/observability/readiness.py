"""Whether a process can do its work: every thing it needs is tried, side by side and in time."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import NamedTuple

OK = "ok"


class Report(NamedTuple):
    """What was found, by the name of the check: ``ok``, or in a few words why not."""

    checks: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether all is well."""
        return all(told == OK for told in self.checks.values())


class Readiness:
    """Runs the checks of one process.

    A check that hangs (a broker that takes connections and says nothing) is reported as such and
    not started again before it has ended: probes come every few seconds and must not pile up.
    """

    def __init__(
        self, checks: Mapping[str, Callable[[], object]], timeout_seconds: float = 3.0
    ) -> None:
        """Take checks that return when all is well and raise otherwise."""
        self._checks = dict(checks)
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._running: dict[str, Future[object]] = {}

    def report(self) -> Report:
        """Try everything; takes at most the time limit."""
        with self._lock:
            asked = {name: self._running.get(name) or self._begin(name) for name in self._checks}
        wait(asked.values(), timeout=self._timeout_seconds)
        return Report({name: _tell(future) for name, future in asked.items()})

    def _begin(self, name: str) -> Future[object]:
        future: Future[object] = Future()
        self._running[name] = future

        def run() -> None:
            try:
                result = self._checks[name]()
            except Exception as error:  # noqa: BLE001 - whatever it is, the process is not ready
                self._end(name)
                future.set_exception(error)
            else:
                self._end(name)
                future.set_result(result)

        threading.Thread(target=run, name=f"readiness-{name}", daemon=True).start()
        return future

    def _end(self, name: str) -> None:
        with self._lock:
            self._running.pop(name, None)


def _tell(future: "Future[object]") -> str:
    if not future.done():
        return "no answer in time"
    error = future.exception()
    return OK if error is None else f"failed: {type(error).__name__}"
