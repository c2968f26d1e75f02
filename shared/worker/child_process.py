"""The parent's side of a stage's process: starts it, hears it, kills it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.contracts.event import MAX_MESSAGE, ErrorCode, Fact
from shared.worker.workspace import Workspace

_MAX_LINE = 1 << 16
_MAX_FACTS = 64
_SECRETS = ("URL", "PASSWORD", "SECRET", "TOKEN", "KEY", "CREDENTIALS")
_LOG_TAIL = 4000
_JOIN_SECONDS = 10


class ChildProgress(BaseModel):
    """How far the stage is."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    progress: float = Field(ge=0, le=1)
    """Share that is done."""
    message: str = Field(default="", max_length=MAX_MESSAGE)
    """What is being done."""


class ChildCheckpoint(BaseModel):
    """A snapshot waits to be sent to the store."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    checkpoint: int = Field(ge=1)
    """Number and folder name of the snapshot."""
    progress: float = Field(ge=0, le=1)
    """Share that was done when it was taken."""


class ChildFailure(BaseModel):
    """The stage ended without a result."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    code: ErrorCode
    """For programs."""
    message: str
    """For people."""
    retryable: bool
    """Whether another attempt may do better."""


class ChildSuccess(BaseModel):
    """The stage has written everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    facts: dict[str, Fact] = Field(max_length=_MAX_FACTS)
    """Figures for the gateway."""


ChildLine = ChildProgress | ChildCheckpoint | ChildFailure | ChildSuccess
_LINE: TypeAdapter[ChildLine] = TypeAdapter(ChildLine)


class Child:
    """One running process; a session of its own, so that what it starts is killed with it."""

    def __init__(self, process: subprocess.Popen[bytes], lines: IO[bytes], log: Path) -> None:
        self._process = process
        self._lines = lines
        self._log = log

    def lines(self) -> Iterator[ChildLine]:
        """What the child says, until it ends; lines that are not understood are a crash."""
        while line := self._lines.readline(_MAX_LINE):
            try:
                yield _LINE.validate_json(line)
            except ValidationError:
                self.kill()
                return

    def confirm(self, number: int) -> None:
        """Tell the child that a checkpoint is safe."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; its last lines say how
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()

    def kill(self) -> None:
        """Kill it and all that it started; may be called again, from any thread."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> int:
        """Make sure that it is gone; returns its exit status, negative for a signal."""
        self._lines.close()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            return self._process.wait(_JOIN_SECONDS if self._process.poll() is None else None)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def log_tail(self) -> str:
        """The end of what it printed, for the worker's log."""
        with self._log.open("rb") as stream:
            stream.seek(max(0, self._log.stat().st_size - _LOG_TAIL))
            return stream.read().decode("utf-8", "replace")


def start_child(workspace: Workspace, environment: Mapping[str, str]) -> Child:
    """Start the process that runs the order in ``workspace``."""
    reading, writing = os.pipe()
    try:
        with workspace.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - this very program
                [
                    *(sys.executable, "-P", "-m", "shared.worker.child"),
                    *(str(workspace.root), str(writing), str(os.getpid())),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                cwd=workspace.root,
                env=child_environment(environment, workspace),
                start_new_session=True,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Child(process, os.fdopen(reading, "rb"), workspace.log)


def child_environment(environment: Mapping[str, str], workspace: Workspace) -> dict[str, str]:
    """The parent's environment without addresses and passwords, and where it finds modules."""
    kept = {
        name: value
        for name, value in environment.items()
        if not any(word in name.upper() for word in _SECRETS)
    }
    found = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    own = {"PYTHONPATH": found, "PYTHONUNBUFFERED": "1", "TMPDIR": str(workspace.root)}
    return {**kept, **own}
