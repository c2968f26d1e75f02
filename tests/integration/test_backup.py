"""Backup and restore of PostgreSQL and S3."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from shared.object_store import Store, open_store
from tests.backup_rules import check_round_trip, check_second_backup
from tests.engine_world import World
from tests.integration.databases import copied_database, migrate_template


@pytest.fixture(scope="module")
def template(database_url: str) -> str:
    """A migrated database, as its owner."""
    migrate_template(database_url)
    return database_url


@pytest.fixture
def buckets(store_url: str) -> Iterator[tuple[Store, Store]]:
    """The platform's bucket, and another one; both are emptied afterwards."""
    parts = urlsplit(store_url)
    other = urlunsplit(parts._replace(path=f"{parts.path}-restored"))
    opened = (open_store(store_url), open_store(other))
    yield opened
    for store in opened:
        store.delete_prefix("")


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
