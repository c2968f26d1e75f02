"""What the gateway refuses before it does anything: keys, bodies, addresses, rates."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from api.db.records import KeyScope
from api.http.strict_json import MAX_BODY_BYTES
from api.settings import GatewaySettings
from tests.gateway_world import Account, World, open_world, upload_body

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def world_and_client() -> Iterator[tuple[World, TestClient]]:
    """A gateway that allows five requests a minute."""
    with open_world(GatewaySettings(requests_per_minute=5)) as opened:
        yield opened


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client with a member's key."""
    with open_world() as (world, client):
        client.headers.update(world.add_account("a").headers)
        yield client


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic dTpw", "Bearer ts_short", f"Bearer ts_{'x' * 43}", "Bearer ts_é"],
)
def test_requests_without_a_good_key_are_refused(
    world_and_client: tuple[World, TestClient], authorization: str | None
) -> None:
    """401 with a challenge, and nothing about why."""
    sent = {} if authorization is None else {b"Authorization": authorization.encode()}
    answer = world_and_client[1].get("/v1/jobs", headers=sent)

    assert 401 == answer.status_code
    assert "unauthenticated" == answer.json()["code"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_ends(world_and_client: tuple[World, TestClient]) -> None:
    """Revoked or expired keys, also while they are remembered."""
    world, client = world_and_client
    admin = world.add_account("a", KeyScope.admin)
    keys = f"/v1/admin/tenants/{admin.tenant_id}/keys"
    until = (world.clock.now + timedelta(minutes=1)).isoformat()
    made = client.post(
        keys, json={"name": "short", "expires_at": until}, headers=admin.headers
    ).json()
    short = Account(admin.tenant_id, made["key_id"], made["api_key"])
    before = client.get("/v1/catalog", headers=short.headers).status_code
    world.clock.advance(seconds=60)
    after = client.get("/v1/catalog", headers=short.headers).status_code
    client.delete(f"{keys}/{admin.key_id}", headers=admin.headers)
    revoked = client.get("/v1/catalog", headers=admin.headers).status_code

    assert (200, 401, 401) == (before, after, revoked)


def test_a_rate_is_told_and_kept(world_and_client: tuple[World, TestClient]) -> None:
    """Each answer says what is left; then 429 with Retry-After, until the minute is over."""
    world, client = world_and_client
    headers = world.add_account("a").headers
    answers = [client.get("/v1/jobs", headers=headers) for _ in range(6)]
    world.clock.advance(seconds=61)
    again = client.get("/v1/jobs", headers=headers)

    assert [200] * 5 + [429] == [answer.status_code for answer in answers]
    assert '"requests";r=4;t=60' == answers[0].headers["RateLimit"]
    assert '"requests";q=5;w=60' == answers[5].headers["RateLimit-Policy"]
    assert "60" == answers[5].headers["Retry-After"]
    assert 200 == again.status_code


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/jobs/", 404, "not_found"),
        ("GET", "/v1/jobs/..%2f..%2fetc", 404, "not_found"),
        ("GET", "/v1/jobs/job_1'%20or%201=1", 404, "not_found"),
        ("GET", "/v1/jobs/vid_01jd5xqk2r8v7w3m9n4p6s0t1z", 404, "not_found"),
        ("GET", "/v1/jobs/job_01jd5xqk2r8v7w3m9n4p6s0t1z", 404, "not_found"),
        ("GET", "/v1/jobs/%00", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=99999999999999999999", 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=ten", 422, "invalid_request"),
        ("GET", "/v1/jobs?status=sleeping", 422, "invalid_request"),
        ("GET", "/v1/jobs?cursor=xyz", 400, "bad_cursor"),
        ("GET", "/v1/jobs?cursor=%ff%00", 400, "bad_cursor"),
    ],
)
def test_unusable_addresses_are_problems(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    """RFC 9457, whoever refused."""
    answer = client.request(method, path, headers={"traceparent": f"00-{TRACE}-{'b' * 16}-01"})

    problem = answer.json()
    assert (status, code) == (answer.status_code, problem["code"])
    assert "application/problem+json" == answer.headers["content-type"]
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"} == set(
        problem
    )
    assert (TRACE, TRACE) == (problem["request_id"], answer.headers["X-Request-Id"])


def test_a_method_that_is_not_allowed_names_those_that_are(client: TestClient) -> None:
    """RFC 9110 demands it."""
    assert {"GET", "POST"} == set(client.put("/v1/uploads").headers["Allow"].split(", "))


GOOD = upload_body()
BAD_BODIES = {
    "empty": (b"", 400),
    "not_json": (b"{", 400),
    "nan": (json.dumps({**GOOD, "size_bytes": float("nan")}).encode(), 400),
    "huge_number": (json.dumps(GOOD).replace("1000", "9" * 5000).encode(), 400),
    "number_beyond_the_database": (json.dumps({**GOOD, "size_bytes": 10**25}).encode(), 422),
    "negative": (json.dumps({**GOOD, "size_bytes": -1}).encode(), 422),
    "fraction": (json.dumps({**GOOD, "size_bytes": 1.5}).encode(), 422),
    "number_as_text": (json.dumps({**GOOD, "size_bytes": "1000"}).encode(), 422),
    "truth_as_number": (json.dumps({**GOOD, "size_bytes": True}).encode(), 422),
    "null": (json.dumps({**GOOD, "sha256": None}).encode(), 422),
    "list": (b"[]", 422),
    "unknown_field": (json.dumps({**GOOD, "is_admin": True}).encode(), 422),
    "missing_field": (b"{}", 422),
    "path": (json.dumps({**GOOD, "file_name": "../../etc/passwd"}).encode(), 422),
    "backslash_path": (json.dumps({**GOOD, "file_name": "..\\boot.ini"}).encode(), 422),
    "control_character": (json.dumps({**GOOD, "file_name": "a\u0000b"}).encode(), 422),
    "line_break": (json.dumps({**GOOD, "file_name": "a\nb"}).encode(), 422),
    "half_a_pair": (json.dumps({**GOOD, "file_name": "\ud800"}).encode(), 400),
    "bad_digest": (json.dumps({**GOOD, "sha256": "A" * 64}).encode(), 422),
    "not_media": (json.dumps({**GOOD, "content_type": "text/html"}).encode(), 422),
    "too_large_a_file": (json.dumps({**GOOD, "size_bytes": 2**40}).encode(), 413),
    "too_large_a_body": (b" " * (MAX_BODY_BYTES + 1), 413),
}


@pytest.mark.parametrize(("body", "status"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_unusable_bodies_are_problems(client: TestClient, body: bytes, status: int) -> None:
    """Each with its own status; nothing gets as far as the database."""
    answer = client.post("/v1/uploads", content=body, headers={"content-type": "application/json"})

    assert status == answer.status_code, answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    assert [] == client.get("/v1/uploads").json()["items"]


def test_fields_are_named_one_by_one(client: TestClient) -> None:
    """With JSON pointers, and without repeating what was sent."""
    problem = client.post("/v1/uploads", json={**GOOD, "sha256": "secret", "x/y": 1}).json()

    assert {"/sha256", "/x~1y"} == {error["pointer"] for error in problem["errors"]}
    assert "secret" not in json.dumps(problem)


def test_bodies_of_other_media_types_are_refused(client: TestClient) -> None:
    """A form of another site cannot be read as JSON."""
    answer = client.post(
        "/v1/uploads", content=json.dumps(GOOD), headers={"content-type": "text/plain"}
    )

    assert (415, "unsupported_media_type") == (answer.status_code, answer.json()["code"])


def test_a_bug_is_told_without_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    """500 with a request id; the traceback is in the log only."""
    with open_world() as (world, client):
        account = world.add_account("a")

        async def fail() -> None:
            raise RuntimeError("password=hunter2")

        world.app.add_api_route("/v1/broken", fail)
        answer = client.get("/v1/broken", headers=account.headers)

    assert (500, "internal_error") == (answer.status_code, answer.json()["code"])
    assert "hunter2" not in answer.text
    assert "request_failed" in caplog.text


def test_requests_are_counted_by_template(client: TestClient) -> None:
    """No id in any label."""
    client.get("/v1/jobs/job_01jd5xqk2r8v7w3m9n4p6s0t1z")
    client.get("/somewhere/else")

    text = client.get("/metrics").text
    assert 'route="/v1/jobs/{job_id}"' in text
    assert 'route="unmatched"' in text
    assert "job_01jd5" not in text
