"""The engine's rules on SQLite, as in one process."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from api.db.session import open_database
from tests.deletion_rules import DeletionRules
from tests.engine_rules import EngineRules
from tests.engine_world import World, sqlite_database


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that is migrated once and copied for each test."""
    folder = tmp_path_factory.mktemp("database")
    sqlite_database(folder).dispose()
    return folder / "talksplat.db"


@pytest.fixture
def world(migrated: Path, tmp_path: Path) -> Iterator[World]:
    """An engine on an empty database."""
    shutil.copy(migrated, tmp_path / "talksplat.db")
    database = open_database(f"sqlite:///{tmp_path / 'talksplat.db'}")
    event.listen(database, "connect", _forget_the_disk)
    yield World(database)
    database.dispose()


def _forget_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    """A test need not survive a power cut."""
    connection.execute("PRAGMA synchronous=OFF")


class TestEngineOnSqlite(EngineRules):
    """Jobs."""


class TestDeletionsOnSqlite(DeletionRules):
    """Uploads, avatars and videos."""
