"""The platform's own processes as an operator runs them: started again whenever they end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
COMMAND_LINE = "services.embedded.cli"
_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 20.0


class Program:
    """One process at a time of one command; when it ends, the next one is started."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        settings: Mapping[str, str],
        logs: Path,
        *,
        program: Sequence[str] = (sys.executable, "-m", COMMAND_LINE),
    ) -> None:
        self.name = name
        self.n_starts = 0
        self._arguments = [*program, *arguments]
        self._environment = environment(settings)
        self._log = logs / f"{name}.log"
        self._rest_seconds = 0.0
        self._ended_at: float | None = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def keep(self) -> None:
        """Start the next process if one is due."""
        if self.pid is not None:
            return
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        if time.monotonic() - self._ended_at >= self._rest_seconds:
            self._start()

    def kill(self, rest_seconds: float) -> int | None:
        """Kill it with -9; the next one comes after ``rest_seconds``. Returns whom it hit."""
        pid = self.pid
        if pid is None or self._process is None:
            return None
        self._rest_seconds = rest_seconds
        self._process.kill()
        self._process.wait()
        return pid

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def await_end(self) -> None:
        """Wait until it has ended, and make sure that it does."""
        if self._process is None:
            return
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self, n_bytes: int = 4000) -> str:
        """The end of what all its processes have logged."""
        return self._log.read_bytes()[-n_bytes:].decode("utf-8", "replace")

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.n_starts += 1
        self._ended_at = None
        self._rest_seconds = 0.5  # one that ends by itself is not started again at once


@contextmanager
def kept(programs: Sequence[Program]) -> Iterator[None]:
    """Keep ``programs`` running for the length of the block."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for program in programs:
                program.keep()

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        for program in programs:
            program.ask_to_end()
        for program in programs:
            program.await_end()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with the given ``TALKSPLAT_*`` variables and no others."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("TALKSPLAT_")}
    return {**others, "PYTHONPATH": str(REPOSITORY), **settings}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def wait_until_ready(address: str, seconds: float = 180) -> None:
    """Wait until the gateway at ``address`` proves database, broker and store."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=10):  # noqa: S310 - our own
                return
        except OSError:
            assert time.monotonic() < until, f"{address} does not become ready"
            time.sleep(0.2)


def children_of(pid: int) -> list[int]:
    """Processes that ``pid`` has started and that are alive."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found
