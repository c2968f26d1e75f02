"""Backup and restore of PostgreSQL and S3."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from shared.object_store import Store
from shared.object_stores.s3 import S3Store, read_place
from tests.backup_rules import check_round_trip, check_second_backup
from tests.engine_world import World
from tests.integration.databases import copied_database, migrate_template


@pytest.fixture(scope="module")
def template(database_url: str) -> str:
    """A migrated database, as its owner."""
    migrate_template(database_url)
    return database_url


@pytest.fixture
def buckets(server_urls: dict[str, str]) -> Iterator[tuple[Store, Store]]:
    """Two empty buckets; removed afterwards."""
    parts = urlsplit(server_urls["TALKSPLAT_TEST_STORE_URL"])
    names = [f"talksplat-test-{secrets.token_hex(4)}" for _ in range(2)]
    first, second = (
        S3Store(read_place(urlsplit(urlunsplit(parts._replace(path=f"/{name}"))))) for name in names
    )
    for store in (first, second):
        store.prepare()
    yield first, second
    for name, store in zip(names, (first, second), strict=True):
        for info in list(store.list_objects("")):
            store.delete(info.key)
        store._client.remove_bucket(name)


def test_everything_comes_back(template: str, buckets: tuple[Store, Store], tmp_path: Path) -> None:
    """As the gateway's own role; sequences go on behind what was restored."""
    with copied_database(template) as database, copied_database(template) as other:
        check_round_trip(World(database), buckets[0], (other, buckets[1]), tmp_path)


def test_a_second_backup_follows_the_store(
    template: str, buckets: tuple[Store, Store], tmp_path: Path
) -> None:
    """Objects of S3 have times of their own."""
    with copied_database(template) as database:
        check_second_backup(World(database), buckets[0], tmp_path)
