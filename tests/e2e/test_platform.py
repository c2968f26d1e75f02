"""The platform as operators run it, over HTTP: every process on real servers, capture to video."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.puppet.capture import DemoFiles
from shared.messaging.routes import SERVICES
from tests.e2e.http_user import HttpUser, check_video
from tests.load.programs import Program, kept, wait_until_ready
from tests.load.site import Site, add_customers, gateway_program, open_site

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def site(server_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """PostgreSQL, RabbitMQ and Ceph, with a place of its own on each."""
    with open_site(server_urls, tmp_path_factory.mktemp("platform") / "site") as site:
        yield site


@pytest.fixture(scope="module")
def address(site: Site) -> Iterator[str]:
    """A gateway and a worker of each service."""
    gateway, address = gateway_program(site)
    settings = {name: text for name, text in site.settings.items() if "DATABASE" not in name}
    workers = [Program(name, ["worker", name], settings, site.folder) for name in SERVICES]
    with kept([gateway, *workers]):
        wait_until_ready(address)
        yield address


def test_a_capture_becomes_a_video(site: Site, address: str, filmed: DemoFiles) -> None:
    """Uploaded to the store, made into an avatar that speaks, scored, and downloaded."""
    (customer,) = add_customers(site, ["e2e"])
    user = HttpUser(address, customer.token)
    capture = user.upload(filmed.capture, "capture", "video/mp4")
    speech = user.upload(filmed.speech, "speech", "audio/wav")
    avatar = user.ask_for_avatar(capture)
    job = user.wait_for_job(avatar["job_id"])
    files = user.get(f"/v1/avatars/{avatar['avatar_id']}/files")["files"]

    assert {"train", "fit_motion", "preprocess"} == {stage["stage"] for stage in job["stages"]}
    assert any(Path(file["path"]).suffix == ".safetensors" for file in files)
    check_video(user, user.ask_for_video(avatar["avatar_id"], speech))
    user.close()
