"""Every route of the OpenAPI document, asked by one tenant for another's things: 404, no change."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from api.db import tables
from api.db.records import KeyScope, ResourceStatus, Video
from api.db.resources import insert_video
from api.db.session import engine_work
from api.gateway import draw_id
from tests.gateway_world import CONSENT, Account, avatar_body
from tests.integration.databases import migrate_template
from tests.integration.live_gateway import LiveGateway, Places

ENGINE_COLUMNS = {
    "api_keys": {"last_used_at"},
    "webhooks": {"claimed_at", "claimed_until"},
    "webhook_deliveries": {"status", "n_tries", "tries", "next_try_at", "finished_at"},
    "deletions": {"n_objects", "n_bytes", "finished_at"},
}
ENGINE_TABLES = {"outbox", "removals"}
"""What the engine's own threads change at any time, without anybody's request."""
FOR_OPERATORS = {"changeTenant", "setQuotas"}
"""Refused by scope, whether or not there is such a tenant."""


class Victim(NamedTuple):
    """A tenant that has one of everything."""

    account: Account
    ids: Mapping[str, str]
    """Name of a path parameter -> id of the victim's."""


@pytest.fixture(scope="module")
def gateway(
    database_url: str,
    broker_url: str,
    store_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveGateway]:
    """A gateway."""
    places = Places(migrate_template(database_url), broker_url, store_url)
    gateway = LiveGateway(places, tmp_path_factory.mktemp("gateway") / "log")
    gateway.start()
    yield gateway
    gateway.kill()
    gateway.database.dispose()


@pytest.fixture(scope="module")
def victim(gateway: LiveGateway) -> Victim:
    """One of everything, in the database of the gateway."""
    account = gateway.add_account(KeyScope.admin)
    avatar = gateway.add_avatar(account)
    spare = gateway.add_avatar(account)
    speech = gateway.add_upload(account, "speech")
    with gateway.client(account) as client:
        webhook = client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()
        hook = f"/v1/webhooks/{webhook['webhook_id']}"
        delivery = client.post(f"{hook}/test").json()
        deletion = client.delete(spare["urls"]["self"]).json()
    video = Video(
        video_id=draw_id("vid"),
        tenant_id=account.tenant_id,
        name="V",
        labels={},
        status=ResourceStatus.pending,
        avatar_id=avatar["avatar_id"],
        speech_upload_id=speech,
        job_id=avatar["job_id"],
        options={},
        facts={},
        version=1,
        created_at=datetime.now(UTC),
        updated_at=datetime.now(UTC),
    )
    with engine_work(gateway.database) as work:
        insert_video(work, video)
    return Victim(
        account,
        {
            "upload_id": speech,
            "avatar_id": avatar["avatar_id"],
            "video_id": video.video_id,
            "job_id": avatar["job_id"],
            "consent_id": avatar["consent_id"],
            "deletion_id": deletion["deletion_id"],
            "webhook_id": webhook["webhook_id"],
            "delivery_id": delivery["delivery_id"],
            "tenant_id": account.tenant_id,
            "key_id": account.key_id,
        },
    )


def test_every_object_of_another_tenant_is_not_found(
    gateway: LiveGateway, victim: Victim, database_url: str
) -> None:
    """Whatever the method; nothing of the victim's has changed, and no answer names it."""
    before = _rows_of(database_url, victim)
    asked = _ask_everything(gateway, victim, gateway.add_account(KeyScope.admin))

    assert [] == [one for one in asked if one[2] != (403 if one[0] in FOR_OPERATORS else 404)]
    assert len(asked) >= 25
    assert before == _rows_of(database_url, victim)


def test_every_object_is_found_by_its_owner(gateway: LiveGateway, victim: Victim) -> None:
    """The same addresses, read by the victim: the test above asks for what is there."""
    with gateway.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    with gateway.client(victim.account) as client:
        statuses = {
            path: client.get(path.format(**victim.ids)).status_code
            for path, operations in paths.items()
            if "get" in operations and "{" in path and not path.endswith(("/events", "/files"))
        }

    assert {} == {path: status for path, status in statuses.items() if status != 200}


def test_listings_hold_nothing_of_another_tenant(gateway: LiveGateway, victim: Victim) -> None:
    """Nor do cursors lead there."""
    other = gateway.add_account(KeyScope.admin)
    with gateway.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    listings = [path for path, ops in paths.items() if "get" in ops and "{" not in path]
    with gateway.client(other) as client, gateway.client(victim.account) as owner:
        found = {}
        for path in listings:
            text = client.get(path).text
            cursor = _cursor(owner.get(path, params={"limit": 1}).json() if "v1" in path else {})
            if cursor:
                text += client.get(path, params={"cursor": cursor}).text
            found[path] = [name for name, one in victim.ids.items() if one in text]

    assert {"/v1/jobs", "/v1/avatars", "/v1/uploads"} <= set(listings)
    assert {} == {path: names for path, names in found.items() if names}


def test_bodies_cannot_name_what_is_another_tenants(
    gateway: LiveGateway, victim: Victim, database_url: str
) -> None:
    """Uploads, avatars and evidence of the victim's are unknown to others."""
    other = gateway.add_account(KeyScope.admin)
    own_capture = gateway.add_upload(other)
    before = _rows_of(database_url, victim)
    stolen = victim.ids["upload_id"]
    evidence = {**CONSENT, "evidence_upload_id": stolen}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v1/avatars", avatar_body(stolen)),
        ("/v1/avatars", {**avatar_body(own_capture), "consent": evidence}),
        (
            "/v1/videos",
            {"name": "V", "avatar_id": victim.ids["avatar_id"], "speech_upload_id": stolen},
        ),
    ]
    with gateway.client(other) as client:
        answers = [
            client.post(path, json=body, headers={"Idempotency-Key": f"i{number}"})
            for number, (path, body) in enumerate(requests)
        ]

    assert [(404, "not_found"), (422, "bad_consent"), (404, "not_found")] == [
        (answer.status_code, answer.json()["code"]) for answer in answers
    ]
    assert before == _rows_of(database_url, victim)


def test_an_idempotency_key_of_another_tenant_replays_nothing(
    gateway: LiveGateway, victim: Victim
) -> None:
    """The same key and body in two tenants are two requests."""
    other = gateway.add_account(KeyScope.admin)
    captures = [gateway.add_upload(account) for account in (victim.account, other)]
    answers = []
    for account, capture in zip((victim.account, other), captures, strict=True):
        with gateway.client(account) as client:
            answers.append(
                client.post(
                    "/v1/avatars", json=avatar_body(capture), headers={"Idempotency-Key": "same"}
                )
            )

    assert [202, 202] == [answer.status_code for answer in answers]
    assert answers[0].json()["avatar_id"] != answers[1].json()["avatar_id"]


def test_no_tenant_set_shows_nothing(gateway: LiveGateway, victim: Victim) -> None:
    """The gateway's login sees no row by itself, and none as a tenant that is not set."""
    shown: dict[str, int] = {}
    for name in tables.TENANT_TABLES:
        with gateway.database.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL ROLE talksplat_tenant")
            query = sa.text(f"SELECT count(*) FROM {name}")  # noqa: S608 - names of ours
            try:
                shown[name] = connection.execute(query).scalar_one()
            except sa.exc.ProgrammingError:  # not even granted
                shown[name] = 0

    assert victim.ids
    assert {} == {name: n for name, n in shown.items() if n}


def test_the_log_of_a_gateway_names_no_secret(gateway: LiveGateway, victim: Victim) -> None:
    """No key of anybody."""
    assert victim.account.token not in gateway.log_text()


def _ask_everything(
    gateway: LiveGateway, victim: Victim, attacker: Account
) -> list[tuple[str, str, int]]:
    """Name, path and status of every operation on an object of the victim's."""
    asked = []
    with gateway.client() as client:
        document = client.get("/openapi.json").json()
    with gateway.client(attacker) as client:
        for path, operations in document["paths"].items():
            if "{" not in path:
                continue
            assert "key" not in path.split("{")[-1] or path.startswith("/v1/admin")
            for method, operation in operations.items():
                answer = client.request(
                    method,
                    path.format(**victim.ids),
                    json=_example(document, operation),
                    headers={"Idempotency-Key": "steal", "If-Match": "*"},
                )
                asked.append((operation["operationId"], path, answer.status_code))
    return asked


def _example(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Any:  # noqa: ANN401
    body = operation.get("requestBody")
    if body is None:
        return None
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["examples"][0]


def _rows_of(database_url: str, victim: Victim) -> dict[str, list[Any]]:
    """Every row of the victim's, as the database's owner sees it."""
    owner = sa.create_engine(database_url)
    found = {}
    with owner.connect() as connection:
        for name, column in tables.TENANT_TABLES.items():
            if name in ENGINE_TABLES:
                continue
            table = tables.metadata.tables[name]
            shown = [one for one in table.c if one.name not in ENGINE_COLUMNS.get(name, set())]
            query = sa.select(*shown).where(table.c[column] == victim.account.tenant_id)
            found[name] = sorted(map(repr, connection.execute(query)))
    owner.dispose()
    return found


def _cursor(page: Any) -> str | None:  # noqa: ANN401 - whatever was answered
    return page.get("next_cursor") if isinstance(page, dict) else None
