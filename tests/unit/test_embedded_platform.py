"""The platform in one process: its first key, its folder, its threads."""

import logging
import threading
import time
from pathlib import Path

import pytest

from api.db.api_keys import find_key_by_secret
from api.db.migrate import migrate_database
from api.db.records import KeyScope
from api.db.session import engine_work, open_database
from api.db.workers import live_workers
from api.dependencies import Parts
from api.settings import GatewaySettings
from api.tokens import digest_of
from services.embedded import platform
from shared.errors import InvalidInput
from shared.messaging.routes import SERVICES

_PATIENCE_SECONDS = 30.0


def test_only_the_first_start_makes_a_key_unless_one_is_wanted(tmp_path: Path) -> None:
    """All are operators' keys of the same tenant."""
    url = f"sqlite:///{tmp_path / 'platform.db'}"
    migrate_database(url)
    first = platform._recover(url, is_key_wanted=False)
    second = platform._recover(url, is_key_wanted=False)
    wanted = platform._recover(url, is_key_wanted=True)

    assert second is None
    assert first is not None
    assert wanted is not None
    database = open_database(url)
    with engine_work(database) as work:
        owners = [find_key_by_secret(work, digest_of(token)) for token in (first, wanted)]
    database.dispose()
    keys = [owner.key for owner in owners if owner is not None]
    assert [KeyScope.operator, KeyScope.operator] == [key.scope for key in keys]
    assert 1 == len({key.tenant_id for key in keys})


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    """A second platform would run every stage twice."""
    with (
        platform._held(tmp_path),
        pytest.raises(InvalidInput, match="another talksplat serve"),
        platform._held(tmp_path),
    ):
        pass


def test_workers_of_all_services_report_and_leave(tmp_path: Path) -> None:
    """Everything starts on an empty folder, and every thread ends with the block."""
    before = set(threading.enumerate())
    with platform.open_platform(tmp_path / "new", GatewaySettings()) as running:
        parts: Parts = running.app.state.parts
        until = time.monotonic() + _PATIENCE_SECONDS
        seen: set[str] = set()
        while seen != set(SERVICES) and time.monotonic() < until:
            with engine_work(parts.database, is_read_only=True) as work:
                seen = set(live_workers(work, parts.now()))
            time.sleep(0.05)

        assert set(SERVICES) == seen
        assert running.is_alive()
        assert parts.readiness.report().is_ready
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not [thread for thread in left if thread.name.startswith(("work-", "hear-"))]


def test_a_thread_that_breaks_is_logged_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    """The process then ends too, and is started again."""

    def break_down(_broker_url: str, _what: None, _stop: threading.Event) -> None:
        raise RuntimeError("worn out")

    with caplog.at_level(logging.ERROR):
        thread = platform._start("work-x", break_down, None, threading.Event())
        thread.join(_PATIENCE_SECONDS)

    assert not thread.is_alive()
    assert ["platform_thread_ended"] == [record.message for record in caplog.records]
