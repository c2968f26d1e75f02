"""What only PostgreSQL can show: row locks between gateways, roles, triggers, forced security."""

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from api.consent_records import NewConsent, list_consents, record_consent
from api.consent_withdrawal import revoke_consent, stop_unconsented
from api.db import tables
from api.db.append_only import APPEND_ONLY
from api.db.engine_state import read_engine_state
from api.db.migrate import migrate_database
from api.db.records import Upload, UploadStatus
from api.db.session import engine_work, open_database, tenant_work
from api.db.webhook_queue import claim_delivery
from api.ids import new_id
from api.jobs.apply import origin_at
from api.webhooks.sender import send_next
from tests.webhook_world import GONE, World, add_tenants

_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def owner_url(database_url: str) -> Iterator[str]:
    """A database of this file's own."""
    name = f"talksplat_queue_{secrets.token_hex(4)}"
    server = sa.create_engine(database_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture(scope="module")
def database(owner_url: str) -> Iterator[Engine]:
    """As the gateway logs in: a role that owns nothing."""
    role = f"gateway_{secrets.token_hex(4)}"
    url = make_url(owner_url).set(username=role, password=secrets.token_hex(8))
    text = url.render_as_string(hide_password=False)
    migrate_database(text, owner_url)
    database = open_database(text, pool_size=20)
    add_tenants(database)
    yield database
    database.dispose()
    owner = sa.create_engine(owner_url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(sa.text(f'DROP OWNED BY "{role}"'))
        connection.execute(sa.text(f'DROP ROLE "{role}"'))
    owner.dispose()


@pytest.fixture
def world(database: Engine) -> Iterator[World]:
    """Webhooks in it; none are left behind."""
    yield World(database)
    with engine_work(database) as work:
        work.connection.execute(sa.delete(tables.webhook_deliveries))
        work.connection.execute(sa.delete(tables.webhooks))


def _keep_consent(database: Engine) -> str:
    capture = Upload(
        upload_id="upl_1",
        tenant_id="ten_a",
        purpose="capture",
        file_name="",
        content_type="video/mp4",
        n_bytes=1,
        sha256="a" * 64,
        status=UploadStatus.ready,
        job_id=None,
        facts={},
        failure=None,
        created_at=_NOW,
        expires_at=_NOW,
        completed_at=None,
    )
    terms = NewConsent(
        subject="Ada",
        scope=("avatar",),
        expires_at=_NOW + timedelta(days=1),
        statement="I allow it.",
    )
    with tenant_work(database, "ten_a") as work:
        kept = record_consent(
            work, terms, capture, now=_NOW, new_id=lambda _kind: new_id("con", _NOW)
        )
    return kept.consent_id


def test_gateways_share_the_work_without_sending_twice(world: World) -> None:
    """Eight senders on 200 messages: each message goes out once."""
    for number in range(8):
        world.create(f"https://a{number}.example/", tenant="ten_a" if number % 2 else "ten_b")
    for _ in range(25):
        world.happen()
        world.happen(tenant="ten_b")
    rest = threading.Event()

    def send() -> None:
        while _due(world):
            if not send_next(world.sender):
                rest.wait(0.01)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    sent = [(url, headers["webhook-id"]) for url, headers, _ in world.received]
    assert (200, 200) == (len(sent), len(set(sent)))


def _due(world: World) -> int:
    with engine_work(world.database, is_read_only=True) as work:
        return read_engine_state(work, world.now).webhooks_due


def test_a_held_webhook_is_passed_over_not_waited_for(world: World) -> None:
    """While one gateway's claim is not even committed, another takes the next webhook."""
    world.create("https://a.example/")
    world.create("https://b.example/", tenant="ten_b")
    world.happen()
    world.happen(tenant="ten_b")

    with engine_work(world.database) as first, engine_work(world.database) as second:
        claims = [claim_delivery(work, world.now) for work in (first, second, second)]

    assert ["ten_a", "ten_b", None] == [
        claim.delivery.tenant_id if claim else None for claim in claims
    ]


def test_a_webhook_that_is_gone_is_disabled_by_the_engine_s_role(world: World) -> None:
    """The role may write what the sender writes."""
    world.create()
    world.happen()
    world.answers = lambda _body: GONE

    assert 1 == world.send_all()
    assert 0 == world.happen()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "verb", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_evidence_is_refused_to_every_role(
    database: Engine, owner_url: str, table: str, verb: str
) -> None:
    """Tenants and engine lack the permission; the owner meets the trigger."""
    _keep_consent(database)
    statement = sa.text(verb.format(table))

    for begun in (tenant_work(database, "ten_a"), engine_work(database)):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), begun as work:
            work.connection.execute(statement)
    owner = sa.create_engine(owner_url)
    connection = owner.connect()
    if table == "consents" or verb.startswith("TRUNCATE"):
        with pytest.raises(sa.exc.ProgrammingError, match="append-only"):
            connection.execute(statement)
    connection.close()
    owner.dispose()


def test_a_tenant_revokes_its_consent_once(database: Engine) -> None:
    """Its role may insert the row, and needs no more."""
    consent_id = _keep_consent(database)
    origin = origin_at(_NOW)

    moments = []
    for seconds in (0, 60):
        with tenant_work(database, "ten_a") as work:
            later = origin._replace(now=_NOW + timedelta(seconds=seconds))
            revoked = revoke_consent(work, consent_id, "asked", later, is_purge=True)
        moments.append(revoked.consent.revoked_at)

    assert [_NOW, _NOW] == moments
    assert 0 == stop_unconsented(database, _NOW)


def test_consents_are_seen_by_their_tenant_only(database: Engine) -> None:
    """Row-level security, without any condition in the query."""
    _keep_consent(database)
    seen = []
    for tenant in ("ten_a", "ten_b", "", "ten_a' OR true --"):
        with tenant_work(database, tenant) as work:
            n_rows = work.connection.execute(
                sa.select(sa.func.count()).select_from(tables.consents)
            ).scalar_one()
        seen.append(n_rows > 0)
    with tenant_work(database, "ten_a") as work:
        listed = list_consents(work, limit=1)

    assert [True, False, False, False] == seen
    assert ["ten_a"] == [consent.tenant_id for consent in listed]


def test_nobody_can_keep_evidence_in_another_tenant_s_name(database: Engine) -> None:
    """WITH CHECK holds for what is written."""
    row = {"tenant_id": "ten_a", "subject": "Eve", "scope": [], "statement": ""}

    with (
        pytest.raises(sa.exc.ProgrammingError, match="row-level security"),
        tenant_work(database, "ten_b") as work,
    ):
        work.connection.execute(
            sa.insert(tables.consents).values(
                id="con_x", capture_sha256="a" * 64, created_at=_NOW, **row
            )
        )
