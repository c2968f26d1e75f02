"""The work inside one run: inputs, the child, its checkpoints, outputs."""

import logging
import os
import secrets
import shutil
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from shared.contracts.command import RunStage
from shared.contracts.event import MAX_MESSAGE, StageEvent, StageSucceeded
from shared.errors import PlatformError, Unavailable
from shared.object_store import Store
from shared.observability.logs import log_event
from shared.observability.worker_telemetry import WorkerTelemetry
from shared.worker.checkpoints import CheckpointName, restore_checkpoint, save_checkpoint
from shared.worker.child_process import (
    Child,
    ChildFailure,
    ChildProgress,
    ChildSuccess,
    start_child,
)
from shared.worker.final_event import earlier_end, keep_final_event
from shared.worker.reporter import Reporter
from shared.worker.stage_entry import Facts
from shared.worker.stopping import Stop
from shared.worker.transfer import fetch_inputs, upload_manifest, upload_outputs
from shared.worker.workspace import Workspace, open_workspace

_FETCHED, _COMPUTED = 0.02, 0.97
"""Shares of an attempt's progress after which inputs are here and outputs are made."""
_log = logging.getLogger(__name__)


class Run(NamedTuple):
    """One run of one attempt."""

    command: RunStage
    store: Store
    modules: tuple[str, ...]
    """Python modules with the entries that may run."""
    work_dir: Path
    reporter: Reporter
    stop: Stop
    telemetry: WorkerTelemetry


class ChildFailedError(PlatformError):
    """What the stage refused, in its own words."""

    def __init__(self, failure: ChildFailure) -> None:
        super().__init__(failure.code, failure.message[:MAX_MESSAGE])
        self.retryable = failure.retryable


def do_work(run: Run) -> StageEvent:
    """Fetch, compute and store.

    Raises:
        StageStopped: the run shall stop.
        PlatformError: with the code of the failure.
    """
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    with open_workspace(run.work_dir, name) as workspace:
        began = monotonic()
        n_bytes = fetch_inputs(run.store, run.command.inputs, workspace.inputs, run.stop)
        restored = restore_checkpoint(
            run.store, run.command.checkpoint_prefix, workspace.checkpoint, run.stop
        )
        run.telemetry.moved("download", n_bytes, seconds=monotonic() - began)
        facts = _compute(run, workspace, restored)
        return _store_outputs(run, workspace, facts)


def _store_outputs(run: Run, workspace: Workspace, facts: Facts) -> StageEvent:
    command, store, stop = run.command, run.store, run.stop
    run.reporter.note_progress(_COMPUTED, "storing the result")
    if finished := earlier_end(store, command, stop):
        return finished  # another worker was given the same command and was faster
    began = monotonic()
    uploaded = upload_outputs(store, workspace.out, command.output_prefix, stop)
    seconds = run.reporter.seconds
    event = run.reporter.make(StageSucceeded, **uploaded._asdict(), seconds=seconds, facts=facts)
    keep_final_event(store, command, event, stop)
    upload_manifest(store, workspace.out, command.output_prefix, stop)
    run.telemetry.moved("upload", uploaded.n_bytes, seconds=monotonic() - began)
    if isinstance(n_frames := facts.get("n_frames"), int):
        run.telemetry.frames_done(command.stage, n_frames, seconds=seconds)
    return event


def _compute(run: Run, workspace: Workspace, restored: CheckpointName | None) -> Facts:
    """Run the child until it has said how it ended."""
    workspace.write_order(
        {
            "entry": run.command.entry,
            "options": run.command.options,
            "modules": list(run.modules),
        }
    )
    run.stop.check()
    child = start_child(workspace, os.environ)
    run.stop.attach(child.kill)
    try:
        outcome = _listen(run, workspace, child, restored)
    finally:
        if run.stop.reason is not None:
            child.kill()
        status = child.close()
    if run.stop.reason is not None:
        run.telemetry.child_killed(run.stop.reason)
    run.stop.check()
    if isinstance(outcome, ChildSuccess):
        return outcome.facts
    log_event(_log, "child_failed", level=logging.WARNING, log=child.log_tail(), status=status)
    if outcome is not None:
        raise ChildFailedError(outcome)
    raise Unavailable(
        "worker_crashed",
        f"the stage's process ended with status {status} before it was done; "
        "it may have run out of memory",
    )


def _listen(
    run: Run, workspace: Workspace, child: Child, restored: CheckpointName | None
) -> ChildSuccess | ChildFailure | None:
    """Hear the child to its end; None when it ended without a word."""
    first = restored.number if restored and restored.attempt == run.command.attempt else 0
    token = secrets.token_hex(4)
    for line in child.lines():
        if isinstance(line, ChildSuccess | ChildFailure):
            return line
        done = _FETCHED + (_COMPUTED - _FETCHED) * line.progress
        if isinstance(line, ChildProgress):
            run.reporter.note_progress(done, line.message)
            continue
        name = CheckpointName(run.command.attempt, first + line.checkpoint, token)
        _send_checkpoint(run, name, workspace.snapshots / str(line.checkpoint))
        child.confirm(line.checkpoint)
    return None


def _send_checkpoint(run: Run, name: CheckpointName, snapshot: Path) -> None:
    """Make a checkpoint safe; while the store stays away, the stage goes on without."""
    try:
        save_checkpoint(run.store, run.command.checkpoint_prefix, name, snapshot, run.stop)
    except Unavailable as error:
        log_event(_log, "checkpoint_not_saved", level=logging.WARNING, reason=error.message)
    finally:
        shutil.rmtree(snapshot, ignore_errors=True)
