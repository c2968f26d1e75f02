"""Requests that cost compute: done once, whatever is repeated, raced or broken."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.db import usage
from api.db.records import Quotas
from api.http.idempotency import Claim, fingerprint
from api.schemas.avatars import AvatarRequest
from api.settings import GatewaySettings
from tests.gateway_world import CONSENT, Account, World, avatar_body, open_world

KEY = {"Idempotency-Key": "key-1"}


@pytest.fixture
def opened() -> Iterator[tuple[World, TestClient, Account, str]]:
    """A gateway, its client with a key, the account, and a ready capture."""
    with open_world() as (world, client):
        account = world.add_account("a")
        client.headers.update(account.headers)
        yield world, client, account, world.add_upload(client, account)


def test_a_submission_answers_where_its_job_is(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """202, Location, links; the engine is told to look."""
    world, client, _, capture = opened
    answer = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)

    body = answer.json()
    assert (202, "pending") == (answer.status_code, body["status"])
    assert body["urls"]["job"] == answer.headers["Location"]
    assert client.get(body["urls"]["job"]).json()["resource_id"] == body["avatar_id"]
    assert 1 == world.clock.woken


def test_a_repeated_submission_is_answered_as_the_first_time(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """Same bytes, marked, and one avatar only; the order of members does not count."""
    world, client, _, capture = opened
    body = avatar_body(capture)
    first = client.post("/v1/avatars", json=body, headers=KEY)
    world.clock.advance(hours=23)
    again = client.post("/v1/avatars", json=dict(reversed(body.items())), headers=KEY)

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "Idempotent-Replayed" not in first.headers
    assert "true" == again.headers["Idempotent-Replayed"]
    assert first.headers["Location"] == again.headers["Location"]
    assert 1 == len(client.get("/v1/avatars").json()["items"])


def test_a_key_is_free_again_after_a_day(opened: tuple[World, TestClient, Account, str]) -> None:
    """Twenty-four hours are kept, not more."""
    world, client, _, capture = opened
    client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)
    world.clock.advance(hours=24)
    client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)

    assert 2 == len(client.get("/v1/avatars").json()["items"])


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "idempotency_key_missing"),
        ({"Idempotency-Key": ""}, 400, "bad_idempotency_key"),
        ({"Idempotency-Key": "a" * 256}, 400, "bad_idempotency_key"),
        ({"Idempotency-Key": "a b"}, 400, "bad_idempotency_key"),
    ],
)
def test_a_submission_needs_a_key(
    opened: tuple[World, TestClient, Account, str],
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    """Nothing is made without one."""
    _, client, _, capture = opened
    answer = client.post("/v1/avatars", json=avatar_body(capture), headers=headers)

    assert (status, code) == (answer.status_code, answer.json()["code"])


def test_a_key_with_another_body_is_refused(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """A replay would hide the mistake."""
    _, client, _, capture = opened
    client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)
    other = client.post("/v1/avatars", json={**avatar_body(capture), "name": "Bob"}, headers=KEY)

    assert (422, "idempotency_key_reused") == (other.status_code, other.json()["code"])


def test_the_twin_of_a_request_under_way_is_refused(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """409, and Retry-After; it may be repeated."""
    world, client, account, capture = opened
    body = avatar_body(capture)
    meant = AvatarRequest.model_validate(body, strict=False).model_dump(mode="json")
    claim = Claim(account.tenant_id, "POST /v1/avatars", "key-1", fingerprint(meant))
    with world.parts.keys_in_flight.hold(claim):
        twin = client.post("/v1/avatars", json=body, headers=KEY)
    later = client.post("/v1/avatars", json=body, headers=KEY)

    assert (409, "request_in_progress") == (twin.status_code, twin.json()["code"])
    assert "1" == twin.headers["Retry-After"]
    assert 202 == later.status_code


def test_a_crashed_request_does_not_block_its_key(
    opened: tuple[World, TestClient, Account, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What crashed left nothing, so the repetition does it."""
    _, client, _, capture = opened

    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(usage, "take_job_place", crash)
        crashed = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)
    again = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)

    assert (500, 202) == (crashed.status_code, again.status_code)
    assert "Idempotent-Replayed" not in again.headers


def test_keys_of_other_tenants_and_routes_are_other_keys(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """A key is scoped to tenant and address."""
    world, client, _, capture = opened
    client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)
    other = world.add_account("b")
    theirs = world.add_avatar(client, other, key="key-1")

    assert theirs["avatar_id"] not in client.get("/v1/avatars").text


def test_waiting_ends_with_the_time(opened: tuple[World, TestClient, Account, str]) -> None:
    """A job that goes on is answered as it is, with 202."""
    _, client, _, capture = opened
    answer = client.post(
        "/v1/avatars", json=avatar_body(capture), headers={**KEY, "Prefer": "wait=0"}
    )
    job = client.get(answer.headers["Location"], headers={"Prefer": "wait=0"})

    assert (202, 200) == (answer.status_code, job.status_code)


def test_waiting_for_an_ended_job_answers_at_once(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """A minute was asked for; none passes."""
    _, client, _, capture = opened
    made = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY).json()
    client.post(made["urls"]["cancel"])
    answer = client.get(made["urls"]["job"], headers={"Prefer": "wait=60"})

    assert "canceled" == answer.json()["status"]
    assert "wait=60" == answer.headers["Preference-Applied"]


def test_quotas_are_refusals_with_a_time(opened: tuple[World, TestClient, Account, str]) -> None:
    """429, a code, Retry-After; the key stays free."""
    world, client, _, _ = opened
    small = world.add_account("small", quotas=Quotas(max_open_jobs=0))
    capture = world.add_upload(client, small)
    answer = client.post("/v1/avatars", json=avatar_body(capture), headers={**small.headers, **KEY})

    assert (429, "quota_open_jobs") == (answer.status_code, answer.json()["code"])
    assert "30" == answer.headers["Retry-After"]


def test_submissions_have_a_rate_of_their_own() -> None:
    """Reading goes on when no more may be submitted."""
    with open_world(GatewaySettings(submissions_per_minute=1)) as (world, client):
        account = world.add_account("a")
        client.headers.update(account.headers)
        capture = world.add_upload(client, account)
        first = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY)
        second = client.post(
            "/v1/avatars", json=avatar_body(capture), headers={"Idempotency-Key": "key-2"}
        )
        reading = client.get("/v1/avatars")

    assert (202, 429, 200) == (first.status_code, second.status_code, reading.status_code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"consent": None}, 422, "invalid_request"),
        ({"consent": {**CONSENT, "statement": None}}, 422, "invalid_request"),
        ({"consent": {**CONSENT, "expires_at": "2020-01-01T00:00:00Z"}}, 422, "bad_consent"),
        ({"consent": {**CONSENT, "expires_at": 1795266000}}, 422, "invalid_request"),
        ({"consent": {**CONSENT, "expires_at": "0001-01-01T00:00:00+14:00"}}, 422, None),
        ({"consent": {**CONSENT, "scope": ["video"]}}, 422, "bad_consent"),
        ({"options": {"method": "magic"}}, 422, "unknown_plugin"),
        ({"options": {"preset": "ultra"}}, 422, "invalid_request"),
        ({"options": {"holdout_seconds": 1e300}}, 422, "invalid_request"),
        ({"labels": {"a": 1}}, 422, "invalid_request"),
        ({"labels": {f"l{n}": "" for n in range(33)}}, 422, "invalid_request"),
        ({"capture_upload_id": "upl_01jd5xqk2r8v7w3m9n4p6s0t1z"}, 404, "not_found"),
        ({"capture_upload_id": "../x"}, 422, "invalid_request"),
    ],
)
def test_unusable_avatars_are_refused(
    opened: tuple[World, TestClient, Account, str],
    changes: dict[str, object],
    status: int,
    code: str | None,
) -> None:
    """Consent, options, labels, capture."""
    _, client, _, capture = opened
    answer = client.post("/v1/avatars", json={**avatar_body(capture), **changes}, headers=KEY)

    assert (status, code or "invalid_request") == (answer.status_code, answer.json()["code"])
    assert [] == client.get("/v1/avatars").json()["items"]
    assert [] == client.get("/v1/consents").json()["items"]
