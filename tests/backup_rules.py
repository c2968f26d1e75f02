"""What a backup must bring back, on any database and store."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import Engine

from api.db.tables import metadata
from services.embedded.backup import OBJECTS, back_up, restore
from shared.object_store import Store, open_store
from shared.progress import silent
from tests.engine_rules import ONE
from tests.engine_world import World
from tests.job_worlds import started

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_CHANGED_BY_RESTORING = {"attempts", "ready_stages", "jobs", "job_events", "removals", "outbox"}


def fill(world: World, store: Store) -> None:
    """Two tenants, finished and queued jobs, one under way, and objects."""
    world.workers()
    for name in ("one", "two"):
        tenant = world.add_tenant(name)
        world.submit(tenant)
        world.run_everything()
        world.submit(tenant, ONE)
        store.put_bytes(f"tenants/{tenant}/uploads/x", name.encode() * 1000)
    (command, *_) = world.send()
    world.report(started(world.job(command.job_id), command.stage))


def check_round_trip(world: World, store: Store, other: tuple[Engine, Store], folder: Path) -> None:
    """Everything comes back, work under way begins again, and the platform goes on with it."""
    fill(world, store)
    target = open_store((folder / "backup").as_uri())
    manifest = back_up(world.database, store, target, NOW, silent)
    before = {table.name: world.rows(table) for table in metadata.sorted_tables}

    done = restore(target, *other, NOW, silent)

    again = World(other[0])
    after = {table.name: again.rows(table) for table in metadata.sorted_tables}
    for name in set(before) - _CHANGED_BY_RESTORING - {"workers"}:
        assert sorted(map(repr, before[name])) == sorted(map(repr, after[name])), name
    assert {row["id"] for row in before["jobs"]} == {row["id"] for row in after["jobs"]}
    assert 1 == done.n_stages_begun_again
    assert manifest == done.manifest
    assert {i.key: i.size for i in store.list_objects("")} == {
        i.key: i.size for i in other[1].list_objects("")
    }
    again.now = world.now
    again.workers()
    again.run_everything()  # new rows get new numbers
    assert {"succeeded"} == {row["status"] for row in again.rows(metadata.tables["jobs"])}


def check_second_backup(world: World, store: Store, folder: Path) -> None:
    """It copies what is new and removes what was deleted."""
    fill(world, store)
    target = open_store((folder / "backup").as_uri())
    back_up(world.database, store, target, NOW, silent)
    kept, gone = (info.key for info in store.list_objects(""))
    copied_at = target.stat(OBJECTS + kept).modified_at
    store.delete(gone)
    store.put_bytes("tenants/three/new", b"new")

    manifest = back_up(world.database, store, target, NOW, silent)

    keys = [info.key for info in target.list_objects(OBJECTS)]
    assert sorted([OBJECTS + kept, OBJECTS + "tenants/three/new"]) == keys
    assert 2 == manifest.n_objects
    assert copied_at == target.stat(OBJECTS + kept).modified_at
