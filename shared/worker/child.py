"""The process in which a stage runs: ``python -m shared.worker.child WORKSPACE FD``.

It gets folders and tells what happens, one JSON object per line, through FD. It has neither broker
nor store nor their passwords. It ends with its parent: by the kernel's signal, and when the pipe
from the parent closes.
"""

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from shared.errors import PlatformError, Unavailable
from shared.settings import read_settings
from shared.threads import available_cores, limit_threads
from shared.worker.stage_entry import Facts, StageEntry, find_entry
from shared.worker.workspace import Workspace

_PR_SET_PDEATHSIG = 1
_TELL_SECONDS = 0.2
_KILL_ME_FIRST = "500"
"""Of 1000, added to how well the kernel likes to kill a process when memory runs out."""
LAG = 0.005
"""Share of the stage that may be done before the last checkpoint is safe: with checkpoints every
4 %, a kill costs less than 5 % of the steps."""


class Parent:
    """The line to the parent, and what it has said."""

    def __init__(self, telling: TextIO) -> None:
        self._telling = telling
        self._told_at = 0.0
        self._saved = threading.Condition()
        self._n_saved = 0

    def tell(self, **said: Any) -> None:  # noqa: ANN401 - anything that JSON can say
        """Write one line."""
        self._telling.write(json.dumps(said) + "\n")
        self._telling.flush()

    def tell_progress(self, fraction: float, message: str) -> None:
        """Write a line now and then."""
        if monotonic() - self._told_at >= _TELL_SECONDS or fraction >= 1:
            self._told_at = monotonic()
            self.tell(progress=fraction, message=message[:500])

    def listen(self) -> None:
        """Note which checkpoints are safe; when the parent is gone, go too."""
        for line in sys.stdin:
            with self._saved:
                self._n_saved = int(line)
                self._saved.notify_all()
        os._exit(70)

    def wait_until_saved(self, number: int) -> None:
        """Wait for a checkpoint to be safe."""
        with self._saved:
            self._saved.wait_for(lambda: self._n_saved >= number)


class CheckpointWatch:
    """Sees checkpoints appear, while the stage reports progress, and sends them off."""

    def __init__(self, entry: StageEntry, workspace: Workspace, parent: Parent) -> None:
        self._workspace = workspace
        self._kept = entry.kept
        self._index = workspace.out / entry.checkpoint
        self._parent = parent
        self._seen = _identity(self._index)
        self._number = 0
        self._fraction = 0.0

    def look(self, fraction: float) -> None:
        """Called in the stage's own thread, so the files stand still meanwhile."""
        if self._number and fraction - self._fraction > LAG:
            self._parent.wait_until_saved(self._number)
        found = _identity(self._index)
        if found is None or found == self._seen:
            return
        self._parent.wait_until_saved(self._number)
        self._seen, self._fraction = found, fraction
        self._number += 1
        snapshot = self._workspace.snapshots / str(self._number)
        for folder in self._kept:
            _link_files(self._workspace.out / folder, snapshot / folder)
        self._parent.tell(checkpoint=self._number, progress=fraction)


def main(arguments: list[str]) -> int:
    """Run the order that lies in the workspace; the outcome is told, not returned."""
    workspace, telling = Workspace(Path(arguments[0])), int(arguments[1])
    _die_with_parent(int(arguments[2]))
    with os.fdopen(telling, "w", encoding="utf-8") as stream:
        parent = Parent(stream)
        threading.Thread(target=parent.listen, daemon=True).start()
        with _told_errors(parent):
            parent.tell(facts=_finite(_run(workspace, parent)))
    return 0


def _finite(facts: Facts) -> Facts:
    """JSON and databases know neither infinity nor NaN; they become None."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in facts.items()
    }


def _run(workspace: Workspace, parent: Parent) -> Facts:
    order = json.loads(workspace.order.read_bytes())
    _share_machine()
    _limit_memory()
    entry = find_entry(order["modules"], order["entry"])
    watch = None
    if entry.kept:
        for folder in entry.kept:
            if (workspace.checkpoint / folder).is_dir():
                (workspace.checkpoint / folder).rename(workspace.out / folder)
        watch = CheckpointWatch(entry, workspace, parent)

    def progress(fraction: float, message: str) -> None:
        share = min(max(float(fraction), 0.0), 1.0)  # stages round
        if watch is not None:
            watch.look(share)
        parent.tell_progress(share, message)

    return entry.run(workspace.inputs, order["options"], workspace.out, progress)


@contextlib.contextmanager
def _told_errors(parent: Parent) -> Iterator[None]:
    """Tell errors of ours in their own words, and bugs without their insides."""
    try:
        yield
    except PlatformError as error:
        _tell_failure(parent, error)
    except Exception as error:  # noqa: BLE001 - the edge of the process: its log keeps it
        _tell_failure(
            parent,
            Unavailable("out_of_memory", "the stage needs more memory than there is")
            if _is_out_of_memory(error)
            else Unavailable(
                "internal_error", "the stage failed unexpectedly; the worker's log has the details"
            ),
        )


def _tell_failure(parent: Parent, error: PlatformError) -> None:
    traceback.print_exc()
    parent.tell(code=error.code, message=error.message, retryable=error.retryable)


def _is_out_of_memory(error: Exception) -> bool:
    """Python's own error, and torch's for GPU and CPU, which are RuntimeErrors."""
    is_torch_s = type(error).__name__ == "OutOfMemoryError" or "not enough memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_torch_s)


def _limit_memory() -> None:
    """Take the operator's limit; and where memory runs out, be killed before the worker is.

    The limit is on data, not on addresses, of which CUDA reserves more than any machine has.
    """
    with contextlib.suppress(OSError):  # Linux has the file, others do not
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST, "ascii")
    limit = int(read_settings(os.environ).stage_memory_gb * 1e9)
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(70)  # it ended before we asked


def _share_machine() -> None:
    """Take the operator's priority, and threads for compute libraries, before they are imported."""
    settings = read_settings(os.environ)
    os.nice(settings.niceness)
    if settings.niceness:
        # Where Linux shares the machine between sessions, priorities only count inside one, and a
        # stage is a session; where it does not, there is no such file, or nobody reads it.
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(settings.niceness), "ascii")
    limit_threads(settings.n_threads or available_cores())


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _link_files(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file() and path.suffix != ".part":
            linked = target / path.relative_to(source)
            linked.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, linked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
