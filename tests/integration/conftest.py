"""Real servers for the integration tests, and a place of its own on each for every session.

``make services`` starts them and writes where they are; TALKSPLAT_TEST_DATABASE_URL, ..._BROKER_URL
and ..._STORE_URL name others. Without servers the tests are skipped; with CI=true they fail.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL

from shared.object_stores.s3 import S3Store, read_place
from tests.integration.servers import Servers, make_vhost, read_urls, remove_vhost

KILLED_PORT = 30600
"""Where the servers listen that tests kill."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Open sockets here, and only here."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="session")
def server_urls() -> dict[str, str]:
    """URLs by variable; skips where there are no servers, and fails in CI."""
    urls = read_urls(os.environ)
    if urls is None:
        say = "no servers: run make services, then make integration"
        if os.environ.get("CI") == "true":
            pytest.fail(say)
        pytest.skip(say)
    return urls


@pytest.fixture(scope="session")
def database_url(server_urls: dict[str, str]) -> Iterator[str]:
    """An empty database, as its owner; dropped afterwards."""
    server = make_url(server_urls["TALKSPLAT_TEST_DATABASE_URL"])
    name = f"talksplat_test_{secrets.token_hex(4)}"
    _administer(server, f'CREATE DATABASE "{name}"')
    yield server.set(database=name).render_as_string(hide_password=False)
    _administer(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def broker_url(server_urls: dict[str, str]) -> Iterator[str]:
    """A virtual host without queues; removed afterwards."""
    url = server_urls["TALKSPLAT_TEST_BROKER_URL"]
    name = f"talksplat-test-{secrets.token_hex(4)}"
    yield make_vhost(url, name)
    remove_vhost(url, name)


@pytest.fixture(scope="session")
def store_url(server_urls: dict[str, str]) -> Iterator[str]:
    """An empty bucket; removed afterwards."""
    name = f"talksplat-test-{secrets.token_hex(4)}"
    parts = urlsplit(server_urls["TALKSPLAT_TEST_STORE_URL"])
    url = urlunsplit(parts._replace(path=f"/{name}"))
    store = S3Store(read_place(urlsplit(url)))
    store.prepare()
    yield url
    for info in list(store.list_objects("")):
        store.delete(info.key)
    store._client.remove_bucket(name)


@pytest.fixture(scope="session")
def killed_servers(server_urls: dict[str, str]) -> Iterator[Servers]:
    """Servers that a test may kill: nobody else uses them."""
    assert server_urls
    servers = Servers(Path("/var/tmp/talksplat-killed-services"), KILLED_PORT)  # noqa: S108
    servers.start()
    yield servers
    servers.stop()


def _administer(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
