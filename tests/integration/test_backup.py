"""Backup and restore of PostgreSQL and S3, as the gateway's own role."""

from pathlib import Path

from tests.backup_rules import check_round_trip, check_second_backup
from tests.engine_world import World
from tests.load.site import open_site


def test_everything_comes_back(server_urls: dict[str, str], tmp_path: Path) -> None:
    """Into another database and bucket; sequences go on behind what was restored."""
    with (
        open_site(server_urls, tmp_path / "site") as site,
        open_site(server_urls, tmp_path / "other") as other,
    ):
        check_round_trip(World(site.database), site.store, (other.database, other.store), tmp_path)


def test_a_second_backup_follows_the_store(server_urls: dict[str, str], tmp_path: Path) -> None:
    """Objects of S3 have times of their own."""
    with open_site(server_urls, tmp_path / "site") as site:
        check_second_backup(World(site.database), site.store, tmp_path)
