"""Uploads, avatars, jobs, webhooks, usage: listed in pages, tagged, changed, removed."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from shared.errors import Unavailable
from tests.gateway_world import (
    Account,
    World,
    avatar_body,
    open_world,
    path_of,
    upload_body,
)

KEY = {"Idempotency-Key": "key-1"}


@pytest.fixture
def opened() -> Iterator[tuple[World, TestClient, Account]]:
    """A gateway, and its client with an account's key."""
    with open_world() as (world, client):
        account = world.add_account("a")
        client.headers.update(account.headers)
        yield world, client, account


def test_pages_tell_everything_once(opened: tuple[World, TestClient, Account]) -> None:
    """Newest first, also where several are of the same moment, while others come in."""
    world, client, _ = opened
    made = []
    for n in range(7):
        made.append(client.post("/v1/uploads", json=upload_body()).json()["upload_id"])
        world.clock.advance(seconds=n % 2)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = f"&cursor={cursor}" if cursor else ""
        page = client.get(f"/v1/uploads?limit=3{query}").json()
        seen += [item["upload_id"] for item in page["items"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
        client.post("/v1/uploads", json=upload_body())

    assert sorted(made) == sorted(seen)
    assert made[-1] == seen[0] or made[-2] == seen[0]


def test_an_unchanged_job_costs_no_body(opened: tuple[World, TestClient, Account]) -> None:
    """304 for the same ETag; another once it has changed."""
    world, client, account = opened
    job = world.add_avatar(client, account)["urls"]["job"]
    etag = client.get(job).headers["ETag"]
    unchanged = client.get(job, headers={"If-None-Match": etag})
    client.post(f"{job}/cancel")
    changed = client.get(job, headers={"If-None-Match": etag})

    assert (304, b"") == (unchanged.status_code, unchanged.content)
    assert etag == unchanged.headers["ETag"]
    assert (200, "canceled") == (changed.status_code, changed.json()["status"])
    assert etag != changed.headers["ETag"]


def test_a_queued_job_knows_its_place(opened: tuple[World, TestClient, Account]) -> None:
    """Within its tenant's own queue, from one."""
    world, client, account = opened
    jobs = []
    for n in range(3):
        jobs.append(world.add_avatar(client, account, f"k{n}")["urls"]["job"])
        world.clock.advance(seconds=1)

    assert [1, 2, 3] == [client.get(job).json()["queue_position"] for job in jobs]


def test_a_change_needs_the_state_that_was_read(
    opened: tuple[World, TestClient, Account],
) -> None:
    """428 without If-Match, 412 with an old one, 200 with the present one."""
    world, client, account = opened
    address = world.add_avatar(client, account)["urls"]["self"]
    etag = client.get(address).headers["ETag"]
    without = client.patch(address, json={"name": "B"})
    changed = client.patch(address, json={"name": "B"}, headers={"If-Match": etag})
    late = client.patch(address, json={"name": "C"}, headers={"If-Match": etag})
    forced = client.patch(address, json={"labels": {"a": "b"}}, headers={"If-Match": "*"})

    assert (428, 200, 412, 200) == tuple(
        answer.status_code for answer in (without, changed, late, forced)
    )
    assert changed.headers["ETag"] == late.headers["ETag"] != etag
    assert ("B", {"a": "b"}) == (forced.json()["name"], forced.json()["labels"])


def test_cancel_can_be_repeated_and_retry_is_for_failures(
    opened: tuple[World, TestClient, Account],
) -> None:
    """What is not possible is 409, not a surprise."""
    world, client, account = opened
    job = world.add_avatar(client, account)["urls"]["job"]
    answers = [client.post(f"{job}/cancel") for _ in range(2)]
    retried = client.post(f"{job}/retry", headers=KEY)

    assert [(202, "canceled")] * 2 == [(a.status_code, a.json()["status"]) for a in answers]
    assert (409, "job_not_retryable") == (retried.status_code, retried.json()["code"])


def test_a_deletion_answers_a_receipt(opened: tuple[World, TestClient, Account]) -> None:
    """It names what goes, can be read again, and the thing is gone."""
    world, client, account = opened
    avatar = world.add_avatar(client, account)
    receipt = client.delete(avatar["urls"]["self"])

    body = receipt.json()
    assert f"avatar:{avatar['avatar_id']}" in body["removed"]
    assert body["deletion_id"] == client.get(body["urls"]["self"]).json()["deletion_id"]
    assert 404 == client.get(avatar["urls"]["self"]).status_code
    assert 404 == client.delete(avatar["urls"]["self"]).status_code


def test_a_revoked_consent_stops_what_it_allowed(
    opened: tuple[World, TestClient, Account],
) -> None:
    """At once; asked for, everything under it is removed."""
    world, client, account = opened
    avatar = world.add_avatar(client, account)
    consent = f"/v1/consents/{avatar['consent_id']}"
    before = client.get(consent).json()
    revoked = client.post(f"{consent}/revoke", json={"reason": "asked", "purge": True}).json()

    assert before["uses"][0]["is_allowed"]
    assert before["uses"][0]["resource_id"] == avatar["avatar_id"]
    assert [avatar["avatar_id"]] == [one["subject_id"] for one in revoked["deletions"]]
    assert "asked" == client.get(consent).json()["revoked_reason"]
    assert 404 == client.get(avatar["urls"]["self"]).status_code


def test_an_upload_is_completed_once_its_bytes_are_there(
    opened: tuple[World, TestClient, Account],
) -> None:
    """409 before; then one job, however often it is said; 410 when it is too late."""
    world, client, account = opened
    first, late = (client.post("/v1/uploads", json=upload_body()).json() for _ in range(2))
    complete = f"{first['urls']['self']}/complete"
    early = client.post(complete)
    world.store.put_bytes(first["form"]["fields"]["key"], b"x" * 1000)
    answers = [client.post(complete) for _ in range(2)]
    world.clock.advance(hours=2)
    too_late = client.post(f"{late['urls']['self']}/complete")

    assert (409, "upload_missing") == (early.status_code, early.json()["code"])
    assert [(202, "verifying")] * 2 == [(a.status_code, a.json()["status"]) for a in answers]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert (410, "upload_expired") == (too_late.status_code, too_late.json()["code"])
    assert account.tenant_id in first["form"]["fields"]["key"]


def test_videos_need_a_ready_avatar(opened: tuple[World, TestClient, Account]) -> None:
    """409 while it is being made, 404 when there is none."""
    world, client, account = opened
    avatar = world.add_avatar(client, account)
    speech = world.add_upload(client, account, "speech")
    body = {"name": "V", "avatar_id": avatar["avatar_id"], "speech_upload_id": speech}
    pending = client.post("/v1/videos", json=body, headers=KEY)
    unknown = client.post(
        "/v1/videos", json={**body, "avatar_id": "ava_01jd5xqk2r8v7w3m9n4p6s0t1z"}, headers=KEY
    )

    assert (409, "avatar_not_ready") == (pending.status_code, pending.json()["code"])
    assert (404, "not_found") == (unknown.status_code, unknown.json()["code"])


def test_the_catalog_lists_plugins_by_their_files(
    opened: tuple[World, TestClient, Account],
) -> None:
    """And is tagged."""
    _, client, _ = opened
    answer = client.get("/v1/catalog")
    again = client.get("/v1/catalog", headers={"If-None-Match": answer.headers["ETag"]})

    catalog = answer.json()
    assert "rigged_gaussians" in catalog["avatar_methods"]
    assert "cpu" in catalog["rasterizers"]
    assert ["draft", "standard", "high"] == [preset["name"] for preset in catalog["presets"]]
    assert 304 == again.status_code


def test_usage_stands_beside_the_quotas(opened: tuple[World, TestClient, Account]) -> None:
    """Open jobs and stored bytes of now."""
    world, client, account = opened
    world.add_avatar(client, account)
    used = client.get("/v1/usage").json()

    assert ("2026-11", 1, 1000) == (used["month"], used["n_open_jobs"], used["stored_bytes"])
    assert 4 == used["quotas"]["max_running_jobs"]


def test_links_lead_to_the_public_address(opened: tuple[World, TestClient, Account]) -> None:
    """Whatever a body links to answers."""
    world, client, account = opened
    avatar = world.add_avatar(client, account)
    links = [url for name, url in avatar["urls"].items() if url and name in {"self", "job"}]

    assert [200, 200] == [client.get(path_of(url)).status_code for url in links]


def test_readiness_names_what_is_away(opened: tuple[World, TestClient, Account]) -> None:
    """503 while the broker is away; the process lives on."""
    world, client, _ = opened
    ready = client.get("/readyz")
    world.broker_error = Unavailable("broker_unavailable", "away")
    away = client.get("/readyz")

    assert (200, "ok") == (ready.status_code, ready.json()["status"])
    assert 503 == away.status_code
    assert ("ok", "ok") == (away.json()["checks"]["database"], away.json()["checks"]["store"])
    assert "ok" != away.json()["checks"]["broker"]
    assert 200 == client.get("/healthz").status_code


def test_a_database_that_is_away_is_told(opened: tuple[World, TestClient, Account]) -> None:
    """503 with Retry-After, not 500."""
    world, client, _ = opened
    client.get("/v1/jobs")  # the key is remembered
    world.database.dispose()
    with world.database.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO gone")
    answer = client.get("/v1/jobs")

    assert (503, "database_unavailable") == (answer.status_code, answer.json()["code"])
    assert "Retry-After" in answer.headers


def test_an_avatar_holds_its_consent(opened: tuple[World, TestClient, Account]) -> None:
    """Bound to the capture's digest, with what was declared."""
    world, client, account = opened
    capture = world.add_upload(client, account)
    made = client.post("/v1/avatars", json=avatar_body(capture), headers=KEY).json()
    consent = client.get(f"/v1/consents/{made['consent_id']}").json()

    assert ("Ada", upload_body()["sha256"]) == (consent["subject"], consent["capture_sha256"])
    assert [made["consent_id"]] == [
        item["consent_id"] for item in client.get("/v1/consents").json()["items"]
    ]
