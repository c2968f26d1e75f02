"""The platform in one process, over HTTP: from a capture to a video, killed on the way."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.puppet.capture import DemoFiles
from tests.e2e.conftest import talksplat
from tests.e2e.http_user import HttpUser, check_video, stage_of
from tests.e2e.serve_program import Serve
from tests.load.programs import children_of, environment, kept, wait_until_ready

KILLED_AT = 0.5
"""Share of the training."""
RESUMED_FROM = KILLED_AT - 0.1
"""At least: checkpoints are 4 % apart, and the last may have been on its way."""
DEATH_SECONDS = 10.0
pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A running one with an empty folder."""
    serve = Serve(tmp_path_factory.mktemp("serve"))
    with kept([serve.program]):
        wait_until_ready(serve.address)
        yield serve


@pytest.fixture(scope="module")
def user(serve: Serve) -> Iterator[HttpUser]:
    """Somebody with the key of the first start."""
    user = HttpUser(serve.address, serve.first_key())
    yield user
    user.close()


def test_a_killed_platform_goes_on_and_makes_the_video(
    serve: Serve, user: HttpUser, filmed_briefly: DemoFiles
) -> None:
    """Killed with -9 in training: no stage is left behind, and it goes on from a checkpoint."""
    capture = user.upload(filmed_briefly.capture, "capture", "video/mp4")
    speech = user.upload(filmed_briefly.speech, "speech", "audio/wav")
    avatar = user.ask_for_avatar(capture)
    user.wait_for_stage(avatar["job_id"], "train", KILLED_AT)
    pid = serve.program.pid
    assert pid is not None
    stages = children_of(pid)

    serve.program.kill(rest_seconds=0.5)

    assert stages
    _await_death(stages)
    wait_until_ready(serve.address)
    job = user.wait_for_job(avatar["job_id"])
    assert 2 == stage_of(job, "train")["attempt"]
    assert 1 == stage_of(job, "preprocess")["attempt"]
    assert [None] == serve.api_keys()[1:]
    resumed = [
        event["data"]["stage_progress"]
        for event in user.events(avatar["job_id"])
        if (event["data"].get("stage"), event["data"].get("attempt")) == ("train", 2)
        and event["data"].get("message", "").startswith("training")
    ]
    assert resumed
    assert min(resumed) > RESUMED_FROM
    check_video(user, user.ask_for_video(avatar["avatar_id"], speech))


def test_a_folder_belongs_to_one_process(serve: Serve) -> None:
    """A second one says so and ends."""
    command = [*talksplat(), "serve", "--port", "0", "--data-dir", str(serve.data_dir)]

    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert 1 == second.returncode
    assert "error[data_dir_in_use]" in second.stderr


def test_a_taken_port_is_named(serve: Serve, tmp_path: Path) -> None:
    """Before anything starts."""
    port = serve.address.rpartition(":")[2]
    command = [*talksplat(), "serve", "--port", port, "--data-dir", str(tmp_path / "data")]

    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert 1 == second.returncode
    assert "error[address_taken]" in second.stderr
    assert not (tmp_path / "data").exists()


def test_a_polite_end_is_quick_and_no_failure(tmp_path: Path) -> None:
    """SIGTERM, as a service manager sends it."""
    command = [*talksplat(), "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment({})
    )
    assert process.stdout is not None
    with process:
        url = json.loads(process.stdout.readline())["url"]
        wait_until_ready(url)
        process.terminate()

        assert 0 == process.wait(60)


def _await_death(pids: list[int]) -> None:
    until = time.monotonic() + DEATH_SECONDS
    while any(Path(f"/proc/{pid}/exe").exists() for pid in pids):
        assert time.monotonic() < until, "a stage has outlived its worker"
        time.sleep(0.1)
