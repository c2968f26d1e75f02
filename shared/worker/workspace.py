"""The folder that one run of a stage works in, and that nothing leaves behind.

A file in it is locked as long as its worker lives, so that a worker that starts can remove what a
killed one left.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_LOCK = "lock"
_PREFIX = "stage-"


class Workspace(NamedTuple):
    """Folders of one run."""

    root: Path

    @property
    def inputs(self) -> Path:
        """What was fetched."""
        return self.root / "inputs"

    @property
    def out(self) -> Path:
        """What the stage writes."""
        return self.root / "out"

    @property
    def checkpoint(self) -> Path:
        """What an earlier attempt has left; absent when there is nothing."""
        return self.root / "checkpoint"

    @property
    def snapshots(self) -> Path:
        """Checkpoints on their way to the store."""
        return self.root / "snapshots"

    @property
    def order(self) -> Path:
        """What the child shall do."""
        return self.root / "order.json"

    @property
    def log(self) -> Path:
        """What the child and its libraries print."""
        return self.root / "child.log"

    def write_order(self, order: dict[str, Any]) -> None:
        """Tell the child what to do."""
        self.order.write_text(json.dumps(order), encoding="utf-8")


@contextmanager
def open_workspace(work_dir: Path, name: str) -> Iterator[Workspace]:
    """Make a workspace, and remove it at the end.

    Args:
        work_dir: Where workspaces lie; on a disk with room for inputs and outputs.
        name: Unique among the runs of this machine.
    """
    root = work_dir / f"{_PREFIX}{name}"
    root.mkdir(parents=True)
    with (root / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        workspace = Workspace(root)
        for folder in (workspace.inputs, workspace.out, workspace.snapshots):
            folder.mkdir()
        try:
            yield workspace
        finally:
            shutil.rmtree(root, ignore_errors=True)


def remove_abandoned(work_dir: Path) -> int:
    """Remove the workspaces of workers that are gone; returns how many."""
    n_removed = 0
    for root in work_dir.glob(f"{_PREFIX}*"):
        try:
            lock = (root / _LOCK).open("r+")
        except OSError:
            continue  # being made, or being removed
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(root, ignore_errors=True)
            n_removed += 1
    return n_removed
