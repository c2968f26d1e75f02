"""Kills workers, stages, gateways, broker and store with -9, and notes what each kill hit."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.integration.servers import ServerName, Servers
from tests.load.kill_plan import Moment, Target
from tests.load.programs import Program, children_of

SERVERS: dict[Target, ServerName] = {"broker": "rabbitmq", "store": "ceph"}
_WAIT_SECONDS = 0.05
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Kill:
    """One kill that was made."""

    target: Target
    name: str
    seconds: float
    """Since the first job was submitted."""
    share_done: float
    in_flight: tuple[str, ...]
    """Runs of stages that it hit: of the worker that died, or all that ran when a part died that
    each of them needs. Their workspaces are the evidence."""

    def told(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


class Killer(threading.Thread):
    """Makes the kills of a plan, each when its moment has come."""

    def __init__(
        self,
        moments: Sequence[Moment],
        *,
        gateway: Program,
        workers: Sequence[Program],
        servers: Servers,
        work_dir: Path,
        share_done: Callable[[], float],
    ) -> None:
        super().__init__(name="killer", daemon=True)
        self.kills: list[Kill] = []
        self.error: Exception | None = None
        self._moments = moments
        self._gateway = gateway
        self._workers = workers
        self._servers = servers
        self._work_dir = work_dir
        self._share_done = share_done
        self._began = time.monotonic()
        self._over = threading.Event()
        self._restarts: dict[Target, threading.Thread] = {}

    def run(self) -> None:
        """Go through the plan."""
        try:
            for moment in self._moments:
                if not self._wait_for(moment):
                    break
                self._make(moment)
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            self.error = error
        finally:
            self._await_restarts()

    def finish(self) -> list[Kill]:
        """No more kills; all servers run again. Raises what went wrong in the thread."""
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.kills

    def _wait_for(self, moment: Moment) -> bool:
        while self._share_done() < moment.at_share:
            if self._over.wait(_WAIT_SECONDS):
                return False
        return not self._over.wait(moment.then_seconds)

    def _make(self, moment: Moment) -> None:
        self._await_work()
        share = self._share_done()
        name: str = moment.target
        if moment.target in SERVERS:
            hit = self._kill_server(moment.target)
        elif moment.target == "gateway":
            hit = self._kill_gateway(moment)
        else:
            name, hit = self._kill_worker(moment)
        seconds = round(time.monotonic() - self._began, 2)
        self.kills.append(Kill(moment.target, name, seconds, round(share, 3), tuple(hit)))

    def _await_work(self) -> None:
        """Give the platform some seconds to be at something."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._runs() and time.monotonic() < until:
            time.sleep(_WAIT_SECONDS)

    def _kill_server(self, target: Target) -> list[str]:
        running = self._restarts.get(target)
        if running is not None:
            running.join()
        hit = self._runs()
        self._servers.kill(SERVERS[target])
        self._restarts[target] = threading.Thread(
            target=self._servers.start, args=(SERVERS[target],)
        )
        self._restarts[target].start()
        return hit

    def _kill_gateway(self, moment: Moment) -> list[str]:
        while self._gateway.pid is None:
            time.sleep(_WAIT_SECONDS)
        hit = self._runs()
        self._gateway.kill(moment.rest_seconds)
        return hit

    def _kill_worker(self, moment: Moment) -> tuple[str, list[str]]:
        """One that works, where any does: the draw says which."""
        for _ in range(100):
            living = [each for each in self._workers if each.pid is not None]
            busy = [each for each in living if self._runs(each.pid)]
            if moment.target == "stage":
                busy = [each for each in busy if each.pid and children_of(each.pid)]
            if busy:
                break
            time.sleep(_WAIT_SECONDS)
        chosen = (busy or living)[int(moment.draw * len(busy or living))]
        if moment.target == "stage":
            return chosen.name, self._kill_stage(chosen)
        pid = chosen.kill(moment.rest_seconds)
        return chosen.name, self._runs(pid)  # a worker that was idle leaves no workspace behind

    def _kill_stage(self, worker: Program) -> list[str]:
        pid = worker.pid
        runs = self._runs(pid)
        for child in children_of(pid) if pid is not None else []:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return runs
        return []

    def _runs(self, pid: int | None = None) -> list[str]:
        """Workspaces of runs of one worker, or of all that live."""
        pids = [pid] if pid is not None else [each.pid for each in self._workers]
        return [
            folder.name
            for one in pids
            if one is not None
            for folder in self._work_dir.glob(f"stage-{one}-*")
        ]

    def _await_restarts(self) -> None:
        for restart in self._restarts.values():
            restart.join()
