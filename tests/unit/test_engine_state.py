"""The reading of the database behind the gateway's gauges. Over SQLite."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from api.db import tables
from api.db.engine_state import ALIVE, read_engine_state
from api.db.session import engine_work, open_database
from shared.messaging.routes import SERVICES
from shared.observability.engine_gauges import EngineState, ServiceLoad, StageLoad
from tests.webhook_world import World, open_world

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh one."""
    opened = open_world(tmp_path)
    yield opened
    opened.database.dispose()


def _add(database: Engine, table: sa.Table, **row: object) -> None:
    with engine_work(database) as work:
        work.connection.execute(sa.insert(table).values(row))


def _ago(seconds: float) -> datetime:
    return _NOW - timedelta(seconds=seconds)


def test_an_empty_database_has_nothing_to_tell(tmp_path: Path) -> None:
    """All zero."""
    database = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    tables.metadata.create_all(database)
    with engine_work(database, is_read_only=True) as work:
        state = read_engine_state(work, _NOW)
    database.dispose()

    nobody = dict.fromkeys(SERVICES, 0)
    assert EngineState(_NOW.timestamp(), {}, {}, 0, 0.0, 0, 0.0, nobody) == state


def test_demand_workers_and_backlogs_are_counted(world: World) -> None:
    """What is closed, sent, in the future, disabled or long unheard of does not count."""
    database = world.database
    job = {"kind": "x", "status": "queued", "resource_id": "x", "state": {}}
    for job_id in ("job_1", "job_2"):
        _add(
            database,
            tables.jobs,
            id=job_id,
            tenant_id="ten_a",
            created_at=_NOW,
            updated_at=_NOW,
            **job,
        )
        _add(
            database,
            tables.ready_stages,
            job_id=job_id,
            stage="train",
            tenant_id="ten_a",
            service="trainer",
            queue_class="batch",
            class_rank=1,
            is_new=0,
            queued_at=_ago(30 if job_id == "job_1" else 10),
            not_before=_NOW,
        )
    for number, closed_at in enumerate((None, _NOW)):
        _add(
            database,
            tables.attempts,
            job_id="job_1",
            stage="animate",
            attempt=number,
            tenant_id="ten_a",
            service="audio2motion",
            queue_class="interactive",
            status="running",
            dispatched_at=_NOW,
            started_at=_ago(50),
            progressed_at=_ago(20),
            lease_until=_NOW,
            closed_at=closed_at,
        )
    for worker_id, slots, seen_at in (
        ("w1", 2, _ago(1)),
        ("w2", 1, _ago(2)),
        ("gone", 0, _ago(1)),
        ("old", 4, _NOW - ALIVE - timedelta(seconds=1)),
    ):
        _add(
            database,
            tables.workers,
            id=worker_id,
            service="trainer",
            slots=slots,
            busy=min(slots, 1),
            seen_at=seen_at,
            reported_at=seen_at,
        )
    _add(database, tables.outbox, tenant_id="ten_a", topic="x", payload={}, created_at=_ago(4))
    world.create()
    world.now = _ago(7)
    world.happen()
    world.now = _NOW + timedelta(seconds=60)
    world.happen()

    with engine_work(database, is_read_only=True) as work:
        state = read_engine_state(work, _NOW)

    assert (
        EngineState(
            read_at=_NOW.timestamp(),
            stages={
                ("train", "batch"): StageLoad(2, 0, 30.0),
                ("animate", "interactive"): StageLoad(0, 1, 0.0, 20.0),
            },
            services={"trainer": ServiceLoad(2, 3, 2)},
            outbox_unsent=1,
            outbox_oldest_seconds=4.0,
            webhooks_due=1,
            webhooks_overdue_seconds=7.0,
            demand={**dict.fromkeys(SERVICES, 0), "trainer": 2, "audio2motion": 1},
        )
        == state
    )
