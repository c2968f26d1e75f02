"""Heartbeats: tiny jobs that take the way of all jobs."""

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from api.db import tables
from api.db.engine_state import read_engine_state
from api.db.session import engine_work
from api.jobs.heartbeat import KEPT, Beating, send_heartbeat
from api.settings import read_gateway_settings
from shared.errors import InvalidInput
from shared.observability.engine_gauges import Heartbeat
from shared.progress import silent
from shared.worker.heartbeat import beat
from tests.engine_world import World, sqlite_database

SERVICES = ("audio2motion", "renderer")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An engine without tenants."""
    opened = World(sqlite_database(tmp_path))
    opened.workers()
    yield opened
    opened.database.dispose()


def _beating(world: World) -> Beating:
    numbers = itertools.count()
    return Beating(
        database=world.database,
        store=world.store,
        every=timedelta(seconds=60),
        services=SERVICES,
        new_id=world.draw_id,  # type: ignore[arg-type] # kinds of ids are strings
        random_bytes=lambda n: next(numbers).to_bytes(n, "big"),
    )


def _heartbeat(world: World) -> Heartbeat | None:
    with engine_work(world.database, is_read_only=True) as work:
        return read_engine_state(work, world.now).heartbeat


def test_a_heartbeat_runs_through_the_services(world: World) -> None:
    """One stage each, in order, and its success is shown with how long it took."""
    assert 1 == send_heartbeat(_beating(world), world.now)
    under_way = _heartbeat(world)
    world.run_everything()

    shown = _heartbeat(world)
    assert Heartbeat(None, 0.0, 0.0) == under_way
    assert shown is not None
    assert shown.succeeded_at is not None
    assert list(SERVICES) == [sent.stage.removeprefix("beat_") for sent in world.broker.sent]
    assert 0 == shown.open_seconds


def test_one_at_a_time_and_not_too_often(world: World) -> None:
    """Neither while one is under way, nor before the pause is over."""
    beating = _beating(world)
    send_heartbeat(beating, world.now)
    world.now += timedelta(seconds=61)
    while_open = send_heartbeat(beating, world.now)
    open_seconds = _heartbeat(world)
    world.run_everything()
    afterwards = [send_heartbeat(beating, world.now) for _ in range(2)]

    assert (0, [1, 0]) == (while_open, afterwards)
    assert open_seconds is not None
    assert 61 == open_seconds.open_seconds


def test_old_ones_are_forgotten(world: World) -> None:
    """With everything that is told of them; what they wrote is removed at their end."""
    beating = _beating(world)
    send_heartbeat(beating, world.now)
    world.run_everything()
    world.now += KEPT + timedelta(minutes=10)
    send_heartbeat(beating, world.now)

    assert 1 == len(world.rows(tables.jobs))
    assert 1 == len({row["job_id"] for row in world.rows(tables.job_events)})


def test_without_heartbeats_nothing_is_shown(world: World) -> None:
    """An alert on their age cannot fire."""
    assert _heartbeat(world) is None


def test_its_stage_reads_what_came(tmp_path: Path) -> None:
    """And writes what follows from it, the manifest last."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "before").write_bytes(b"x")
    out = tmp_path / "out"
    out.mkdir()

    facts = beat(tmp_path / "in", {}, out, silent)

    assert facts["sha256"] == json.loads((out / "manifest.json").read_text())["sha256"]


def test_its_stage_refuses_to_beat_for_nothing(tmp_path: Path) -> None:
    """Where its input did not come."""
    with pytest.raises(InvalidInput) as refusal:
        beat(tmp_path, {}, tmp_path, silent)

    assert "file_not_found" == refusal.value.code


def test_operators_choose_services() -> None:
    """By their names, with commas between."""
    settings = read_gateway_settings({"TALKSPLAT_HEARTBEAT_SERVICES": "renderer, trainer"})

    assert ("renderer", "trainer") == settings.heartbeat_services
