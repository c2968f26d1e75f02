"""Backup and restore of an SQLite database and a folder of objects."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.db.migrate import migrate_database
from api.db.session import open_database
from services.embedded.backup import DATABASE, MANIFEST, back_up, restore
from services.embedded.cli import FAILED, run_command
from shared.errors import InvalidInput
from shared.object_store import Store, open_store
from shared.progress import silent
from tests.backup_rules import NOW, check_round_trip, check_second_backup, fill
from tests.engine_world import World, sqlite_database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A platform's database."""
    opened = World(sqlite_database(tmp_path))
    yield opened
    opened.database.dispose()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Its objects."""
    found = open_store((tmp_path / "store").as_uri())
    found.prepare()
    return found


def test_everything_comes_back(world: World, store: Store, tmp_path: Path) -> None:
    """Into another database and folder."""
    (tmp_path / "other").mkdir()
    other = sqlite_database(tmp_path / "other")

    check_round_trip(world, store, (other, open_store((tmp_path / "s2").as_uri())), tmp_path)

    other.dispose()


def test_a_second_backup_follows_the_store(world: World, store: Store, tmp_path: Path) -> None:
    """What is there already is not copied again."""
    check_second_backup(world, store, tmp_path)


def _no_manifest(backup: Store) -> None:
    backup.delete(MANIFEST)


def _torn_rows(backup: Store) -> None:
    whole = backup.get_bytes(DATABASE, max_bytes=1 << 20)
    backup.put_bytes(DATABASE, whole[:-20])


def _other_version(backup: Store) -> None:
    body = json.loads(backup.get_bytes(MANIFEST, max_bytes=1 << 20))
    backup.put_bytes(MANIFEST, json.dumps(body | {"revision": "0000"}).encode())


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_no_manifest, "bad_backup"),
        (_torn_rows, "bad_backup"),
        (_other_version, "backup_of_other_version"),
    ],
)
def test_what_is_no_backup_is_refused(
    world: World, store: Store, tmp_path: Path, spoil: Callable[[Store], None], code: str
) -> None:
    """Before anything is written."""
    fill(world, store)
    target = open_store((tmp_path / "backup").as_uri())
    back_up(world.database, store, target, NOW, silent)
    spoil(target)
    (tmp_path / "other").mkdir()
    other = sqlite_database(tmp_path / "other")

    with pytest.raises(InvalidInput) as refusal:
        restore(target, other, store, NOW, silent)

    other.dispose()
    assert code == refusal.value.code


def test_a_database_in_use_is_not_written_to(world: World, store: Store, tmp_path: Path) -> None:
    """A restore needs an empty one."""
    fill(world, store)
    target = open_store((tmp_path / "backup").as_uri())
    back_up(world.database, store, target, NOW, silent)

    with pytest.raises(InvalidInput) as refusal:
        restore(target, world.database, store, NOW, silent)

    assert "database_not_empty" == refusal.value.code


def test_the_commands_do_the_same(
    world: World,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the places from the environment; a second restore is refused."""
    fill(world, store)
    backup = (tmp_path / "backup").as_uri()
    monkeypatch.setenv("TALKSPLAT_DATABASE_URL", f"sqlite:///{tmp_path / 'talksplat.db'}")
    monkeypatch.setenv("TALKSPLAT_STORE_URL", (tmp_path / "store").as_uri())
    made = run_command(["backup", backup, "--json"])
    told = json.loads(capsys.readouterr().out)
    url = f"sqlite:///{tmp_path / 'other.db'}"
    migrate_database(url)
    monkeypatch.setenv("TALKSPLAT_DATABASE_URL", url)
    monkeypatch.setenv("TALKSPLAT_STORE_URL", (tmp_path / "store2").as_uri())
    restored = run_command(["restore", backup])
    again = run_command(["restore", backup])

    database = open_database(url)
    assert (0, 0, FAILED) == (made, restored, again)
    assert 2 == told["n_objects"]
    assert f"{told['n_rows']} rows and 2 objects" in capsys.readouterr().out
    database.dispose()
