"""What tenants can do with their webhooks, over SQLite."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.db.session import engine_work, tenant_work
from api.db.tables import webhook_deliveries, webhooks
from api.webhooks.endpoints import (
    MAX_WEBHOOKS,
    delete_webhook,
    enable_webhook,
    list_deliveries,
    list_webhooks,
    read_webhook,
    replay_delivery,
    rotate_secret,
    send_test,
)
from api.webhooks.events import EVENT_TYPES
from api.webhooks.signing import is_signed_by
from shared.errors import InvalidInput
from tests.webhook_world import GONE, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh one."""
    opened = open_world(tmp_path)
    yield opened
    opened.database.dispose()


def test_only_what_was_asked_for_is_told_and_only_to_its_tenant(world: World) -> None:
    """Filters by type; other tenants hear nothing; progress is told to nobody."""
    world.create(events=("job.failed",))
    world.create("https://b.example/", tenant="ten_b", events=EVENT_TYPES)

    told = [
        world.happen("job.failed"),
        world.happen("job.succeeded"),
        world.happen("job.progress"),
        world.happen("job.running", tenant="ten_b"),
    ]

    assert [1, 0, 0, 1] == told


def test_a_rotated_secret_signs_together_with_the_last_one(world: World) -> None:
    """Until the overlap is over; then alone."""
    webhook_id, old = world.create()
    with tenant_work(world.database, "ten_a") as work:
        rotated, new = rotate_secret(work, webhook_id, now=world.now, random_bytes=bytes)
    world.happen()
    world.send_all()
    during = [is_signed_by(s, *world.received[0][1:], world.now) for s in (old, new)]
    world.wait(hours=24)
    world.happen()
    world.send_all()
    after = [is_signed_by(s, *world.received[1][1:], world.now) for s in (old, new)]

    assert [[True, True], [False, True]] == [during, after]
    assert world.now == rotated.previous_secret_until


def test_an_overlap_of_nothing_kills_the_old_secret_at_once(world: World) -> None:
    """For a secret that has leaked."""
    webhook_id, old = world.create()
    with tenant_work(world.database, "ten_a") as work:
        rotate_secret(work, webhook_id, now=world.now, random_bytes=bytes, overlap=timedelta(0))
    world.happen()
    world.send_all()

    assert not is_signed_by(old, *world.received[0][1:], world.now)


def test_a_replay_is_the_same_message_in_a_delivery_of_its_own(world: World) -> None:
    """Receivers that remember ids drop it."""
    webhook_id, _ = world.create()
    world.happen()
    world.send_all()
    (first,) = world.deliveries(webhook_id)

    with tenant_work(world.database, "ten_a") as work:
        replay = replay_delivery(
            work, webhook_id, first.delivery_id, now=world.now, new_id=world.new_id
        )
    world.send_all()

    assert first.delivery_id != replay.delivery_id
    ids, bodies = ([one[1]["webhook-id"] for one in world.received], [r[2] for r in world.received])
    assert (1, 1, 2) == (len(set(ids)), len(set(bodies)), len(bodies))


def test_a_test_event_goes_to_any_webhook_that_is_enabled(world: World) -> None:
    """Whatever it asked for; a disabled one has to be enabled first."""
    webhook_id, _ = world.create(events=("job.failed",))
    world.answers = lambda _body: GONE
    with tenant_work(world.database, "ten_a") as work:
        send_test(work, webhook_id, now=world.now, new_id=world.new_id)
    world.send_all()

    with (
        tenant_work(world.database, "ten_a") as work,
        pytest.raises(InvalidInput, match="enable it first"),
    ):
        send_test(work, webhook_id, now=world.now, new_id=world.new_id)
    with tenant_work(world.database, "ten_a") as work:
        enabled = enable_webhook(work, webhook_id)
        send_test(work, webhook_id, now=world.now, new_id=world.new_id)
    assert enabled.disabled_at is None
    assert 1 == world.send_all()


def test_another_tenant_s_webhook_is_not_there(world: World) -> None:
    """For every function, as for an id that was never given out."""
    webhook_id, _ = world.create()
    world.happen()
    (delivery,) = world.deliveries(webhook_id)
    now = world.now

    for attempt in (
        lambda work: read_webhook(work, webhook_id),
        lambda work: delete_webhook(work, webhook_id),
        lambda work: enable_webhook(work, webhook_id),
        lambda work: rotate_secret(work, webhook_id, now=now, random_bytes=bytes),
        lambda work: list_deliveries(work, webhook_id, limit=10),
        lambda work: send_test(work, webhook_id, now=now, new_id=world.new_id),
        lambda work: replay_delivery(
            work, webhook_id, delivery.delivery_id, now=now, new_id=world.new_id
        ),
    ):
        with tenant_work(world.database, "ten_b") as work, pytest.raises(InvalidInput) as refused:
            attempt(work)
        assert "not_found" == refused.value.code
    assert 1 == world.send_all()


def test_lists_are_pages_newest_first(world: World) -> None:
    """By time and id."""
    created = []
    for number in range(3):
        created.append(world.create(f"https://a{number}.example/")[0])
        world.wait(seconds=1)

    with tenant_work(world.database, "ten_a") as work:
        page = list_webhooks(work, limit=2)

    assert created[:0:-1] == [one.webhook_id for one in page]


def test_bad_requests_are_refused(world: World) -> None:
    """Unknown events, none, private addresses, one webhook too many, endless overlaps."""
    codes = []
    for url, events in (
        ("https://a.example/", ("job.progress",)),
        ("https://a.example/", ()),
        ("https://127.0.0.1/", ("job.failed",)),
    ):
        with pytest.raises(InvalidInput) as refused:
            world.create(url, events=events)
        codes.append(refused.value.code)
    webhook_ids = [world.create()[0] for _ in range(MAX_WEBHOOKS)]
    with pytest.raises(InvalidInput, match="delete one first"):
        world.create()
    with (
        tenant_work(world.database, "ten_a") as work,
        pytest.raises(InvalidInput, match="overlap"),
    ):
        rotate_secret(
            work, webhook_ids[0], now=world.now, random_bytes=bytes, overlap=timedelta(days=8)
        )

    assert ["unknown_event_type", "unknown_event_type", "bad_webhook_url"] == codes


def test_deleting_takes_the_log_along(world: World) -> None:
    """Nothing is sent any more."""
    webhook_id, _ = world.create()
    world.happen()
    with tenant_work(world.database, "ten_a") as work:
        delete_webhook(work, webhook_id)

    with engine_work(world.database) as work:
        n_rows = [
            work.connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (webhooks, webhook_deliveries)
        ]
    assert ([0, 0], 0) == (n_rows, world.send_all())
