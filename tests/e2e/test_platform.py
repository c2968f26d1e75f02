"""The platform as operators deploy it: what the Helm chart renders, on real servers, over HTTP.

Every deployable runs as a process with the chart's command and environment (``cluster.py``); long
stages in pods of one attempt that follow the gateway's demand (``scaled_jobs.py``).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services.embedded.puppet.capture import DemoFiles
from tests.chart.rendering import FULLNAME, render, tools_folder, values_of
from tests.e2e.cluster import Cluster
from tests.e2e.http_user import HttpUser, check_video
from tests.e2e.scaled_jobs import ScaledJobs, scaled
from tests.load.programs import kept, wait_until_ready
from tests.load.site import Site, open_site

pytestmark = pytest.mark.enable_socket
POOLS = ("audio2motion", "evaluator", "renderer")
JOBS = ("preprocess", "trainer")
CHECKS = ("right-key", "wrong-key", "tiny-job")
CHANGES = (
    "keda.enabled=true",
    "workerDefaults.resources.limits.cpu=2",
    "database.reportingUrlKey=",  # a login would outlive the test
)
KEY_SECRET = f"{FULLNAME}-test-key"


class Deployed(NamedTuple):
    """A running release and the key of a tenant."""

    cluster: Cluster
    jobs: ScaledJobs
    address: str
    key: str


@pytest.fixture(scope="module")
def site(server_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """PostgreSQL, RabbitMQ and Ceph, with an empty place of its own on each."""
    folder = tmp_path_factory.mktemp("platform") / "site"
    with open_site(server_urls, folder, is_migrated=False) as site:
        yield site


@pytest.fixture(scope="module")
def secrets(site: Site) -> dict[str, dict[str, str]]:
    """What an operator keeps for the chart; the test key comes once there is one."""
    return {
        "talksplat-database": {
            "url": site.settings["TALKSPLAT_DATABASE_URL"],
            "migrationUrl": site.owner_url,
        },
        "talksplat-broker": {"url": site.settings["TALKSPLAT_BROKER_URL"]},
        "talksplat-store": {"url": site.settings["TALKSPLAT_STORE_URL"]},
    }


@pytest.fixture(scope="module")
def deployed(site: Site, secrets: dict[str, dict[str, str]]) -> Iterator[Deployed]:
    """Migrated by the hook, then the gateway, the warm pools, and pods as they are needed."""
    if not (tools_folder() / "ready").is_file():
        assert os.environ.get("CI") != "true"
        pytest.skip("helm is missing: run make chart")
    sets = [argument for each in CHANGES for argument in ("--set", each)]
    cluster = Cluster(render(["--values", values_of("external"), *sets]), secrets, site.folder)
    migration = cluster.run(cluster.pod(cluster.find("Job", "migration"), "migration"))
    assert 0 == migration.returncode, migration.stderr
    gateway = cluster.pod(cluster.find("Deployment", "gateway"), "gateway")
    address = cluster.open_service("gateway", gateway)
    pools = [cluster.pod(cluster.find("Deployment", name), name) for name in POOLS]
    jobs = ScaledJobs(cluster, [cluster.find("ScaledJob", name) for name in JOBS])
    with kept([cluster.program(pod) for pod in (gateway, *pools)]):
        wait_until_ready(address)
        made = cluster.run(gateway, ["talksplat", "tenant", "create", "e2e", "--json"])
        assert 0 == made.returncode, made.stderr
        key = json.loads(made.stdout)["api_key"]
        secrets[KEY_SECRET] = {"key": key}
        with scaled(jobs):
            yield Deployed(cluster, jobs, address, key)


def test_helm_test_passes(deployed: Deployed) -> None:
    """Each of its pods, as rendered."""
    for check in CHECKS:
        pod = deployed.cluster.find("Pod", f"test-{check}")
        done = deployed.cluster.run(deployed.cluster.pod(pod, f"test-{check}"))

        assert 0 == done.returncode, (check, done.stderr)


def test_helm_test_fails_with_another_key(
    deployed: Deployed, secrets: dict[str, dict[str, str]]
) -> None:
    """The check of the key checks something."""
    right, secrets[KEY_SECRET] = secrets[KEY_SECRET], {"key": "ts_" + "0" * 40}
    pod = deployed.cluster.find("Pod", "test-right-key")
    done = deployed.cluster.run(deployed.cluster.pod(pod, "test-other-key"))
    secrets[KEY_SECRET] = right

    assert 1 == done.returncode
    assert "probe_failed" in done.stderr


def test_a_capture_becomes_a_video(deployed: Deployed, filmed: DemoFiles) -> None:
    """Uploaded to the store, made into an avatar that speaks, scored, and downloaded."""
    user = HttpUser(deployed.address, deployed.key)
    capture = user.upload(filmed.capture, "capture", "video/mp4")
    speech = user.upload(filmed.speech, "speech", "audio/wav")
    avatar = user.ask_for_avatar(capture)
    job = user.wait_for_job(avatar["job_id"])
    files = user.get(f"/v1/avatars/{avatar['avatar_id']}/files")["files"]

    assert {"train", "fit_motion", "preprocess"} == {stage["stage"] for stage in job["stages"]}
    assert any(Path(file["path"]).suffix == ".safetensors" for file in files)
    check_video(user, user.ask_for_video(avatar["avatar_id"], speech))
    user.close()


def test_long_stages_ran_in_pods_of_one_attempt(deployed: Deployed) -> None:
    """At least one each for the uploads, the dataset and the training; all ended with 0."""
    codes = {name: deployed.jobs.exit_codes(f"{FULLNAME}-{name}") for name in JOBS}

    assert [] == deployed.jobs.errors
    assert len(codes["preprocess"]) >= 2
    assert codes["trainer"]
    assert {0} == {code for found in codes.values() for code in found}
