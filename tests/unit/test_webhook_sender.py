"""What is sent when, and what becomes of it: over SQLite, with a receiver made of answers."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.db.session import engine_work, tenant_work
from api.db.tables import webhooks
from api.db.webhook_queue import HOLD, claim_delivery, remove_old_deliveries
from api.db.webhooks import DeliveryStatus
from api.webhooks.client import Answer
from api.webhooks.endpoints import read_webhook
from api.webhooks.schedule import MAX_ATTEMPTS, SCHEDULE
from api.webhooks.sender import send_next
from api.webhooks.signing import is_signed_by
from tests.webhook_world import BROKEN, GONE, NO_ANSWER, OK, TRACE, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh one."""
    opened = open_world(tmp_path)
    yield opened
    opened.database.dispose()


def test_an_event_arrives_signed_with_its_trace(world: World) -> None:
    """Once, verifiable, and in the log as delivered."""
    webhook_id, secret = world.create("https://a.example/hook")
    world.happen()

    assert 1 == world.send_all()
    ((url, headers, body),) = world.received
    assert "https://a.example/hook" == url
    assert is_signed_by(secret, headers, body, world.now)
    assert headers["traceparent"].startswith(TRACE[:36])
    assert headers["traceparent"] != TRACE
    (delivery,) = world.deliveries(webhook_id)
    assert (DeliveryStatus.delivered, 1, None) == (
        delivery.status,
        delivery.n_tries,
        delivery.next_try_at,
    )
    assert [(200, "thanks")] == [(one.status, one.body) for one in delivery.tries]


def test_a_dead_receiver_is_tried_by_the_schedule_then_disabled(world: World) -> None:
    """Ten attempts at their times, one message id, then nothing more."""
    webhook_id, _ = world.create()
    world.happen()
    world.answers = lambda _body: NO_ANSWER
    moments = []
    for wait in SCHEDULE:
        world.wait(seconds=wait.total_seconds() - 1 if wait else 0)
        assert not wait or not send_next(world.sender)
        world.wait(seconds=1 if wait else 0)
        assert send_next(world.sender)
        moments.append(world.now)
    world.wait(days=30)

    assert not send_next(world.sender)
    assert 0 == world.happen()
    (delivery,) = world.deliveries(webhook_id)
    assert (DeliveryStatus.failed, MAX_ATTEMPTS) == (delivery.status, delivery.n_tries)
    assert moments == [one.at for one in delivery.tries]
    assert 1 == len({headers["webhook-id"] for _, headers, _ in world.received})
    with tenant_work(world.database, "ten_a") as work:
        assert "failing" == read_webhook(work, webhook_id).disabled_reason


def test_one_message_that_fails_does_not_disable_a_receiver_that_works(world: World) -> None:
    """A payload that it cannot digest is given up alone."""
    webhook_id, _ = world.create()
    world.happen("job.failed")
    world.answers = lambda body: BROKEN if b"job.failed" in body else OK
    for wait in SCHEDULE:
        world.wait(seconds=wait.total_seconds())
        world.happen("job.succeeded")
        world.send_all()
        world.wait(seconds=5)
        world.send_all()

    statuses = [one.status.value for one in world.deliveries(webhook_id)]
    assert (1, 10) == (statuses.count("failed"), statuses.count("delivered"))
    with tenant_work(world.database, "ten_a") as work:
        assert read_webhook(work, webhook_id).disabled_at is None


def test_gone_disables_at_once_and_cancels_what_waits(world: World) -> None:
    """410: nobody wants it any more."""
    webhook_id, _ = world.create()
    world.happen()
    world.happen()
    world.answers = lambda _body: GONE

    assert 1 == world.send_all()
    assert ["canceled", "failed"] == sorted(
        one.status.value for one in world.deliveries(webhook_id)
    )
    labels = {"reason": "gone"}
    assert 1 == world.registry.get_sample_value("talksplat_webhooks_disabled_total", labels)


def test_a_throttled_receiver_is_left_alone_as_it_asked(world: World) -> None:
    """Its other messages wait too."""
    world.create()
    world.happen()
    world.happen()
    world.answers = lambda _body: Answer(429, 0.1, retry_after="600")
    world.send_all()
    world.answers = lambda _body: OK
    world.wait(seconds=599)

    early = world.send_all()
    world.wait(seconds=1)

    assert [0, 2] == [early, world.send_all()]


def test_slow_receivers_of_one_tenant_leave_senders_for_others(world: World) -> None:
    """At most two of its webhooks are held at once; a third waits, another tenant's does not."""
    for number in range(3):
        world.create(f"https://a{number}.example/")
    world.create("https://b.example/", tenant="ten_b")
    world.happen()
    world.happen(tenant="ten_b")

    held = []
    for _ in range(4):
        with engine_work(world.database) as work:
            claim = claim_delivery(work, world.now)
        held.append(claim.delivery.tenant_id if claim else None)

    assert ["ten_a", "ten_a", "ten_b", None] == held


def test_a_message_of_a_sender_that_died_goes_out_again(world: World) -> None:
    """After its hold, as the next attempt; what the dead one would still report is refused."""
    webhook_id, _ = world.create()
    world.happen()
    with engine_work(world.database) as work:
        assert claim_delivery(work, world.now)
    world.wait(seconds=HOLD.total_seconds() - 1)
    before = world.send_all()
    world.wait(seconds=1)

    assert [0, 1] == [before, world.send_all()]
    assert [2] == [one.n_tries for one in world.deliveries(webhook_id)]


def test_a_message_that_kills_its_senders_is_given_up(world: World) -> None:
    """After as many attempts as any other."""
    webhook_id, _ = world.create()
    world.happen()
    for _ in range(MAX_ATTEMPTS):
        with engine_work(world.database) as work:
            assert claim_delivery(work, world.now)
        world.wait(seconds=HOLD.total_seconds())

    world.send_all()

    (delivery,) = world.deliveries(webhook_id)
    assert ([], DeliveryStatus.failed, "never_ended") == (
        world.received,
        delivery.status,
        delivery.tries[0].error,
    )


def test_a_secret_that_cannot_sign_is_a_failed_attempt(world: World) -> None:
    """The sender goes on."""
    webhook_id, _ = world.create()
    world.happen()
    with engine_work(world.database) as work:
        work.connection.execute(sa.update(webhooks).values({"secret": "broken"}))

    assert 1 == world.send_all()
    assert ["bad_webhook_secret"] == [t.error for t in world.deliveries(webhook_id)[0].tries]


def test_a_late_report_changes_nothing(world: World) -> None:
    """A sender that was slower than its hold finds the message delivered by another."""
    webhook_id, _ = world.create()
    world.happen()

    def answer_late(_body: bytes) -> Answer:
        world.wait(seconds=HOLD.total_seconds())
        world.answers = lambda _body: OK
        assert send_next(world.sender)
        return GONE

    world.answers = answer_late
    send_next(world.sender)

    (delivery,) = world.deliveries(webhook_id)
    assert (DeliveryStatus.delivered, 2) == (delivery.status, delivery.n_tries)
    with tenant_work(world.database, "ten_a") as work:
        assert read_webhook(work, webhook_id).disabled_at is None


def test_two_senders_never_make_the_same_attempt(world: World) -> None:
    """Forty messages, four threads, each once."""
    for number in range(4):
        world.create(f"https://a{number}.example/", tenant="ten_a" if number % 2 else "ten_b")
    for _ in range(10):
        world.happen()
        world.happen(tenant="ten_b")
    threads = [threading.Thread(target=world.send_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.send_all()

    sent = [(url, headers["webhook-id"]) for url, headers, _ in world.received]
    assert (40, 40) == (len(sent), len(set(sent)))


def test_old_deliveries_are_dropped_unless_they_wait(world: World) -> None:
    """The collector calls it."""
    webhook_id, _ = world.create()
    world.happen()
    world.send_all()
    world.happen()
    world.wait(days=31)

    with engine_work(world.database) as work:
        removed = remove_old_deliveries(work, world.now - timedelta(days=30))

    assert (1, ["pending"]) == (removed, [d.status.value for d in world.deliveries(webhook_id)])
