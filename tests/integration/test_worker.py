"""Workers on a real broker and a real store, while everything around them is killed."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from shared.contracts.event import StageFailed, StageSucceeded
from shared.messaging.connection import open_connection
from shared.messaging.routes import stage_queues
from shared.object_store import open_store
from shared.worker import loop
from tests.architecture.repository import ROOT
from tests.integration.platform_world import Gateway, is_running, running_worker
from tests.integration.servers import Servers, make_vhost, manage, remove_vhost
from tests.worker_world import EventLog, make_worker, wait_for

LONG = {"seconds": 120}


@pytest.fixture
def gateway(broker_url: str, store_url: str) -> Iterator[Gateway]:
    """With a broker and a store that nobody kills, and queues that no other test has filled."""
    with _gateway(broker_url, store_url) as made:
        yield made


@contextmanager
def _gateway(broker_url: str, store_url: str) -> Iterator[Gateway]:
    vhost = f"talksplat-test-{secrets.token_hex(4)}"
    made = Gateway(make_vhost(broker_url, vhost), store_url)
    yield made
    made.close()
    remove_vhost(broker_url, vhost)


def _objects(gateway: Gateway, job_id: str) -> set[str]:
    return {info.key for info in gateway.store.list_objects(f"tenants/t/jobs/{job_id}/")}


def test_a_worker_runs_what_is_ordered(gateway: Gateway, tmp_path: Path) -> None:
    """Both classes; it says that it lives, and that it leaves."""
    gateway.store.put_bytes("tenants/t/uploads/u", b"input")
    inputs = {"capture": "tenants/t/uploads/u"}
    with running_worker(gateway, tmp_path) as worker:
        orders = [gateway.order("batch", inputs=inputs), gateway.order("interactive")]
        finals = [gateway.wait_for_final(command) for command in orders]
        status = worker.leave()

    assert ["stage_succeeded"] * 2 == [final.type for final in finals]
    assert 0 == status
    wait_for(lambda: gateway.workers and gateway.workers[-1].slots == 0)
    assert {1, 0} == {seen.slots for seen in gateway.workers}
    wait_for(lambda: [0, 0] == _depths(gateway), 15)


def test_a_second_message_waits_in_the_queue(gateway: Gateway, tmp_path: Path) -> None:
    """Not in the worker that is busy, so that an idle one takes it at once."""
    with running_worker(gateway, tmp_path) as _busy:
        first = gateway.order("batch", options=LONG)
        gateway.wait_for_progress(first, 0)
        others = [gateway.order("batch"), gateway.order("interactive")]
        sleep(1)
        with running_worker(gateway, tmp_path) as _idle:
            finals = [gateway.wait_for_final(command) for command in others]

    busy_id = gateway.of(first)[0].worker_id
    assert busy_id not in {final.worker_id for final in finals}


def test_a_canceled_stage_is_gone_within_five_seconds(gateway: Gateway, tmp_path: Path) -> None:
    """Outputs too, and the worker runs the next one."""
    with running_worker(gateway, tmp_path) as worker:
        command = gateway.order(options=LONG, lease_seconds=6)
        gateway.wait_for_progress(command, 0.01)
        child = worker.child_pid()
        asked_at = monotonic()
        gateway.cancel(command)
        final = gateway.wait_for_final(command, 10)
        seconds = monotonic() - asked_at
        following = gateway.wait_for_final(gateway.order())

    assert "stage_canceled" == final.type
    assert seconds < 5
    assert child is not None
    assert not is_running(child)
    assert set() == _objects(gateway, command.job_id)
    assert "stage_succeeded" == following.type


def test_the_stage_of_a_killed_worker_dies_and_is_run_by_another(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The broker hands the command on at once, with the same attempt."""
    with running_worker(gateway, tmp_path) as first:
        command = gateway.order(options={"seconds": 1.5}, lease_seconds=4)
        gateway.wait_for_progress(command, 0.01)
        child = first.child_pid()
        first.kill()
        assert child is not None
        wait_for(lambda: not is_running(child), 3)
    with running_worker(gateway, tmp_path):
        final = gateway.wait_for_final(command)

    assert isinstance(final, StageSucceeded)
    assert 2 == len({event.worker_id for event in gateway.of(command)})
    assert [] == list((tmp_path / "work").iterdir())


def test_a_killed_child_is_a_failure_that_may_be_tried_again(
    gateway: Gateway, tmp_path: Path
) -> None:
    """As the kernel kills what takes too much memory; the worker goes on."""
    with running_worker(gateway, tmp_path) as worker:
        command = gateway.order(options=LONG)
        gateway.wait_for_progress(command, 0.01)
        child = worker.child_pid()
        assert child is not None
        os.kill(child, signal.SIGKILL)
        final = gateway.wait_for_final(command)
        following = gateway.wait_for_final(gateway.order())

    assert isinstance(final, StageFailed)
    assert ("worker_crashed", True) == (final.code, final.retryable)
    assert "stage_succeeded" == following.type


def test_a_worker_that_leaves_hands_back(gateway: Gateway, tmp_path: Path) -> None:
    """On SIGTERM, after its grace; the next one goes on from the last checkpoint."""
    options = {"seconds": 6, "steps": 100}
    with running_worker(gateway, tmp_path) as worker:
        command = gateway.order(options=options, lease_seconds=4)
        gateway.wait_for_progress(command, 0.3)
        assert 0 == worker.leave()
    reached = gateway.fraction(command)
    with running_worker(gateway, tmp_path):
        final = gateway.wait_for_final(command)

    assert isinstance(final, StageSucceeded)
    n_done = final.facts["n_steps_done"]
    assert isinstance(n_done, int)
    assert n_done <= 100 * (1 - reached) + 5


def test_one_stage_and_no_more(gateway: Gateway, tmp_path: Path) -> None:
    """``--one`` is for the jobs of a cluster."""
    orders = [gateway.order(), gateway.order()]
    for _ in orders:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "services.embedded.cli", "worker", "trainer"),
                *("--one", "--patience", "5", "--entries", "tests.burn_stage"),
            ],
            check=False,
            timeout=60,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TALKSPLAT_BROKER_URL": gateway.broker_url,
                "TALKSPLAT_STORE_URL": gateway.store_url,
                "TALKSPLAT_WORK_DIR": str(tmp_path / "work"),
            },
        )
        assert 0 == done.returncode
    finals = [gateway.wait_for_final(command) for command in orders]

    assert ["stage_succeeded"] * 2 == [final.type for final in finals]


def test_what_is_no_command_goes_to_the_dead(gateway: Gateway, tmp_path: Path) -> None:
    """And does not come back; the worker lives on."""
    with open_connection(gateway.broker_url) as link:
        producer = link.Producer()
        headers = {"lang": "py", "task": "talksplat.run_stage", "id": "x", "root_id": "x"}
        producer.publish(
            ([{"type": "run_stage", "job_id": "../.."}], {}, {}),
            routing_key="talksplat.trainer.batch",
            headers=headers,
            declare=stage_queues("trainer"),
            serializer="json",
        )
    with running_worker(gateway, tmp_path):
        final = gateway.wait_for_final(gateway.order())

    assert "stage_succeeded" == final.type
    wait_for(lambda: [0, 0] == _depths(gateway), 15)
    vhost = gateway.broker_url.rsplit("/", 1)[1]
    dead = json.loads(manage(gateway.broker_url, "GET", f"queues/{vhost}/talksplat.dead"))
    assert 1 <= dead["messages"]


def _depths(gateway: Gateway) -> list[int]:
    """Messages in the trainer's queues, taken or not."""
    vhost = gateway.broker_url.rsplit("/", 1)[1]
    names = [queue.name for queue in stage_queues("trainer")]
    queues = (json.loads(manage(gateway.broker_url, "GET", f"queues/{vhost}/{n}")) for n in names)
    return [queue.get("messages", -1) for queue in queues]


class TestKilledServers:
    """Broker and store are killed with -9 while a stage runs."""

    @pytest.fixture
    def gateway(self, killed_servers: Servers) -> Iterator[Gateway]:
        """On servers that may be killed."""
        broker_url = killed_servers.urls["TALKSPLAT_TEST_BROKER_URL"]
        store_url = killed_servers.urls["TALKSPLAT_TEST_STORE_URL"]
        open_store(store_url).prepare()
        with _gateway(broker_url, store_url) as made:
            yield made

    def test_a_stage_outlives_its_broker(
        self, gateway: Gateway, killed_servers: Servers, tmp_path: Path
    ) -> None:
        """It is computed once; its command comes again and ends with the same event."""
        with running_worker(gateway, tmp_path):
            command = gateway.order(options={"seconds": 4}, lease_seconds=60)
            gateway.wait_for_progress(command, 0.01)
            killed_servers.kill("rabbitmq")
            sleep(1)
            killed_servers.start("rabbitmq")
            gateway.wait_for_final(command)
            wait_for(lambda: len(gateway.finals(command)) >= 2, 60)

        finals = gateway.finals(command)
        assert {"stage_succeeded"} == {final.type for final in finals}
        assert 1 == len({final.event_id for final in finals})

    def test_a_stage_outlives_its_store(
        self, gateway: Gateway, killed_servers: Servers, tmp_path: Path
    ) -> None:
        """Its outputs wait until the store is back."""
        with running_worker(gateway, tmp_path):
            command = gateway.order(options={"seconds": 2}, lease_seconds=60)
            gateway.wait_for_progress(command, 0.01)
            killed_servers.kill("ceph")
            sleep(4)
            killed_servers.start("ceph")
            final = gateway.wait_for_final(command, 90)

        assert isinstance(final, StageSucceeded)
        assert 5 == len(_objects(gateway, command.job_id))


def test_one_long_stage_keeps_its_connection(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's heartbeats are read meanwhile; unread ones count as missed."""
    monkeypatch.setattr(loop, "HEARTBEAT_SECONDS", 1)
    worker = make_worker(tmp_path, EventLog())
    gateway.order("batch", options={"seconds": 5})
    staying = loop.Leaving(threading.Event(), threading.Event())

    assert loop.work_once(gateway.broker_url, worker, staying, patience_seconds=10)
    assert not loop.work_once(gateway.broker_url, worker, staying, patience_seconds=1)
