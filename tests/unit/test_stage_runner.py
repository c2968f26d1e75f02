"""One run of a stage: what it tells, what it leaves, and how it ends."""

import json
import threading
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from shared.contracts.command import RunStage
from shared.contracts.event import StageFailed, StageProgress, StageSucceeded
from shared.errors import Unavailable
from shared.object_store import Store, open_store
from shared.worker.child_process import child_environment
from shared.worker.stage_runner import Worker, run_stage
from shared.worker.stopping import StageStopped
from shared.worker.workspace import Workspace, open_workspace, remove_abandoned
from tests.worker_world import EventLog, make_worker, order, wait_for

UPLOAD = "tenants/t/uploads/u"
OUT = "tenants/t/jobs/j/burn/1/"


@pytest.fixture
def log() -> EventLog:
    """What the gateway hears."""
    return EventLog()


@pytest.fixture
def worker(tmp_path: Path, log: EventLog) -> Worker:
    """With one upload in its store."""
    made = make_worker(tmp_path, log)
    made.store.put_bytes(UPLOAD, b"a capture")
    return made


def _keys(store: Store) -> set[str]:
    return {info.key for info in store.list_objects("") if info.key != UPLOAD}


def _run_in_thread(worker: Worker, command: RunStage) -> threading.Thread:
    def run() -> None:
        with suppress(StageStopped, Unavailable):
            run_stage(worker, command)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_outputs_and_their_event_are_stored(worker: Worker, log: EventLog) -> None:
    """Started, then succeeded with the digest of the manifest; the workspace is gone."""
    final = run_stage(worker, order(inputs={"capture": UPLOAD}))

    assert isinstance(final, StageSucceeded)
    files = {OUT + name for name in ("0.txt", "1.txt", "2.txt", "manifest.json")}
    assert {*files, OUT + "final_event.json"} == _keys(worker.store)
    assert (4, final) == (final.n_files, log.events[-1])
    assert sum(worker.store.stat(key).size for key in files) == final.n_bytes
    assert ["stage_started", "stage_succeeded"] == [
        kind for kind in log.types() if kind != "stage_progress"
    ]
    assert [] == list(worker.work_dir.iterdir())


def test_sequences_grow_and_times_are_utc(worker: Worker, log: EventLog) -> None:
    """So that the gateway can put events in order."""
    run_stage(worker, order(inputs={"capture": UPLOAD}, options={"seconds": 0.3}))

    told = [event for event in log.events if event.type != "worker_seen"]
    numbers = [event.sequence for event in told]
    assert sorted(set(numbers)) == numbers
    assert {UTC} == {event.occurred_at.tzinfo for event in told}
    assert all(event.occurred_at <= datetime.now(UTC) for event in told)


def test_an_attempt_that_has_ended_tells_the_same_again(worker: Worker, log: EventLog) -> None:
    """A command that comes twice computes once."""
    command = order(inputs={"capture": UPLOAD})
    first = run_stage(worker, command)
    objects = {info.key: info.modified_at for info in worker.store.list_objects("")}

    second = run_stage(worker._replace(worker_id="another"), command)

    assert first == second == log.events[-1]
    assert objects == {info.key: info.modified_at for info in worker.store.list_objects("")}


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ("refuse", "no_face", False),
        ("bug", "internal_error", True),
        ("die", "worker_crashed", True),
        ("memory", "out_of_memory", True),
        ("link", "bad_output", False),
        ("silent", "bad_output", False),
    ],
)
def test_a_failure_has_a_code_and_no_insides(
    worker: Worker,
    fault: str,
    code: str,
    retryable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """And what had been stored is removed."""
    final = run_stage(worker, order(options={"seconds": 0, "fault": fault}))

    assert isinstance(final, StageFailed)
    assert (code, retryable) == (final.code, final.retryable)
    assert "secret" not in final.message
    assert "Traceback" not in final.message
    assert set() == _keys(worker.store)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"options": {"seconds": "long"}}, "bad_options"),
        ({"entry": "burn.nothing"}, "unknown_entry"),
        ({"inputs": {"capture": "tenants/t/uploads/none"}}, "object_not_found"),
        ({"inputs": {"dataset": "tenants/t/jobs/none/"}}, "object_not_found"),
    ],
)
def test_an_order_that_cannot_be_done_fails_for_good(
    worker: Worker, changes: dict[str, object], code: str
) -> None:
    """Another attempt would do no better."""
    final = run_stage(worker, order(**changes))

    assert isinstance(final, StageFailed)
    assert (code, False) == (final.code, final.retryable)


def test_a_damaged_input_is_noticed(worker: Worker) -> None:
    """Its manifest says another digest."""
    manifest = {"files": {"a.txt": "0" * 64}}
    worker.store.put_bytes("tenants/t/jobs/i/x/1/a.txt", b"damaged")
    worker.store.put_bytes("tenants/t/jobs/i/x/1/manifest.json", json.dumps(manifest).encode())

    final = run_stage(worker, order(inputs={"dataset": "tenants/t/jobs/i/x/1/"}))

    assert isinstance(final, StageFailed)
    assert ("input_damaged", True) == (final.code, final.retryable)


def test_an_artifact_is_laid_over_another(worker: Worker) -> None:
    """An avatar and the motion model inside it come from two stages."""
    for name in ("x", "y"):
        worker.store.put_bytes(f"tenants/t/jobs/i/{name}/1/manifest.json", b'{"files": {}}')
    inputs = {"avatar": "tenants/t/jobs/i/x/1/", "avatar/motion_model": "tenants/t/jobs/i/y/1/"}

    assert isinstance(run_stage(worker, order(inputs=inputs)), StageSucceeded)


def test_a_cancel_stops_at_once_and_leaves_nothing(worker: Worker, log: EventLog) -> None:
    """Well within five seconds, and the child is gone."""
    thread = _run_in_thread(worker, order(options={"seconds": 300}, lease_seconds=2))
    wait_for(lambda: "stage_progress" in log.types())

    worker.runs.cancel(("j", "burn", 2))
    assert 1 == worker.runs.n_busy
    worker.runs.cancel(("j", "burn", 1))
    thread.join(4)

    assert not thread.is_alive()
    assert "stage_canceled" == log.events[-1].type
    assert set() == _keys(worker.store)
    assert 0 == worker.runs.n_busy


def test_a_cancel_does_not_wait_for_a_store_that_is_away(
    worker: Worker, log: EventLog, tmp_path: Path
) -> None:
    """What could not be removed is the collector's."""
    folder = tmp_path / "store"
    store = open_store(f"file://{folder}")
    store.prepare()
    thread = _run_in_thread(
        worker._replace(store=store), order(options={"seconds": 300}, lease_seconds=2)
    )
    wait_for(lambda: "stage_progress" in log.types())

    folder.rename(tmp_path / "gone")
    worker.runs.cancel(("j", "burn", 1))
    thread.join(5)

    assert not thread.is_alive()
    assert "stage_canceled" == log.events[-1].type


def test_a_stage_ends_at_its_deadline(worker: Worker) -> None:
    """It may be tried again."""
    final = run_stage(worker, order(options={"fault": "hang"}, deadline_seconds=1))

    assert isinstance(final, StageFailed)
    assert ("deadline_exceeded", True) == (final.code, final.retryable)


def test_heartbeats_come_within_a_third_of_the_lease(worker: Worker, log: EventLog) -> None:
    """Even when the stage says nothing."""
    thread = _run_in_thread(worker, order(options={"fault": "hang"}, lease_seconds=1.2))
    wait_for(lambda: sum(isinstance(event, StageProgress) for event in log.events) >= 4)
    worker.runs.stop_all()
    thread.join(4)

    times = [event.occurred_at for event in log.events]
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    assert max(gaps) < 1.2


def test_a_worker_that_nobody_hears_kills_its_child(worker: Worker, log: EventLog) -> None:
    """By then the gateway has given the attempt up; nothing more is told or removed."""
    thread = _run_in_thread(worker, order(options={"fault": "hang"}, lease_seconds=1))
    wait_for(lambda: "stage_progress" in log.types())

    log.is_away = True
    n_events = len(log.events)
    thread.join(6)

    assert not thread.is_alive()
    assert n_events == len(log.events)
    assert 0 == worker.runs.n_busy


def test_a_run_does_not_begin_unheard(worker: Worker, log: EventLog) -> None:
    """The command goes back."""
    log.is_away = True

    with pytest.raises(Unavailable):
        run_stage(worker, order())

    assert 0 == worker.runs.n_busy


def test_a_worker_that_leaves_hands_its_stage_back(worker: Worker, log: EventLog) -> None:
    """Without a word: the next one to take the command goes on."""
    thread = _run_in_thread(worker, order(options={"fault": "hang"}, lease_seconds=2))
    wait_for(lambda: "stage_progress" in log.types())

    worker.runs.stop_all()
    thread.join(4)

    assert not thread.is_alive()
    assert {"stage_started", "stage_progress"} == set(log.types())


def test_the_next_attempt_goes_on_from_the_last_checkpoint(worker: Worker, log: EventLog) -> None:
    """Killed at any moment, at most 5 % of its steps are done again."""
    options = {"seconds": 1.5, "steps": 100}
    thread = _run_in_thread(worker, order(options=options, lease_seconds=1))
    wait_for(lambda: _fraction(log) > 0.5)
    worker.runs.stop_all()
    thread.join(4)
    reached = _fraction(log)

    final = run_stage(worker, order(attempt=2, options=options))

    assert isinstance(final, StageSucceeded)
    n_done = final.facts["n_steps_done"]
    assert isinstance(n_done, int)
    assert n_done <= 100 * (1 - reached) + 5
    assert reached > 0.5


def test_the_child_gets_no_passwords(tmp_path: Path) -> None:
    """Strangers' videos are decoded there."""
    given = {
        "PATH": "/bin",
        "TALKSPLAT_STORE_URL": "s3://a:b@c/d",
        "TALKSPLAT_BROKER_URL": "amqp://a:b@c",
        "AWS_SECRET_ACCESS_KEY": "x",
        "DB_PASSWORD": "x",
        "TALKSPLAT_THREADS": "2",
    }

    kept = child_environment(given, Workspace(tmp_path))

    own = {"PYTHONPATH", "PYTHONUNBUFFERED", "TMPDIR"}
    assert {"PATH", "TALKSPLAT_THREADS"} == set(kept) - own


def test_workspaces_of_the_dead_are_removed(tmp_path: Path) -> None:
    """Those of the living stay."""
    with open_workspace(tmp_path, "living") as living:
        (tmp_path / "stage-dead" / "out").mkdir(parents=True)
        (tmp_path / "stage-dead" / "lock").touch()

        assert 1 == remove_abandoned(tmp_path)
        assert [living.root] == list(tmp_path.iterdir())


def _fraction(log: EventLog) -> float:
    return max((e.fraction for e in log.events if isinstance(e, StageProgress)), default=0.0)
