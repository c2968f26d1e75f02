"""Tenants, keys, quotas and webhooks: who may do what, and secrets that are shown once."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.db.records import KeyScope
from api.db.tables import api_keys
from tests.gateway_world import Account, World, open_world

OPERATOR = {"scope": "operator"}


@pytest.fixture
def opened() -> Iterator[tuple[World, TestClient]]:
    """A gateway and its client without a key."""
    with open_world() as opened:
        yield opened


def keys_of(account: Account) -> str:
    """Address of a tenant's keys."""
    return f"/v1/admin/tenants/{account.tenant_id}/keys"


def test_an_operator_makes_tenants_and_an_admin_their_keys(
    opened: tuple[World, TestClient],
) -> None:
    """From nothing to a member's request."""
    world, client = opened
    operator = world.add_account("root", KeyScope.operator)
    tenant = client.post("/v1/admin/tenants", json={"name": "b"}, headers=operator.headers).json()
    keys = f"/v1/admin/tenants/{tenant['tenant_id']}/keys"
    admin = client.post(
        keys, json={"name": "boss", "scope": "admin"}, headers=operator.headers
    ).json()
    headers = {"Authorization": f"Bearer {admin['api_key']}"}
    member = client.post(keys, json={"name": "app"}, headers=headers).json()

    listed = client.get(keys, headers=headers).json()["items"]
    assert {"boss", "app"} == {key["name"] for key in listed}
    assert all("api_key" not in key for key in listed)
    used = client.get("/v1/usage", headers={"Authorization": f"Bearer {member['api_key']}"})
    assert 200 == used.status_code


def test_only_a_digest_of_a_key_is_kept(opened: tuple[World, TestClient]) -> None:
    """Whoever reads the database cannot use it."""
    world, _ = opened
    account = world.add_account("a")
    with world.database.connect() as connection:
        rows = connection.execute(api_keys.select()).mappings().all()
        connection.rollback()

    assert account.token.startswith("ts_")
    assert account.token not in str(rows)


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        (KeyScope.member, "GET", "/v1/admin/tenants", None),
        (KeyScope.admin, "GET", "/v1/admin/tenants", None),
        (KeyScope.admin, "POST", "/v1/admin/tenants", {"name": "x"}),
        (KeyScope.member, "GET", "/v1/admin/tenants/{own}", None),
        (KeyScope.member, "POST", "/v1/admin/tenants/{own}/keys", {"name": "x"}),
        (
            KeyScope.admin,
            "POST",
            "/v1/admin/tenants/{own}/keys",
            {"name": "x", "scope": "operator"},
        ),
        (KeyScope.admin, "PUT", "/v1/admin/tenants/{own}/quotas", {"max_open_jobs": 10**6}),
        (KeyScope.admin, "PATCH", "/v1/admin/tenants/{own}", {"weight": 1000.0}),
        (KeyScope.member, "POST", "/v1/webhooks", {"url": "https://example.com/"}),
    ],
)
def test_a_scope_is_not_passed_over(
    opened: tuple[World, TestClient],
    scope: KeyScope,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    """403 that names the scope needed."""
    world, client = opened
    account = world.add_account("a", scope)
    address = path.replace("{own}", account.tenant_id)
    answer = client.request(method, address, json=body, headers=account.headers)

    assert (403, "scope_missing") == (answer.status_code, answer.json()["code"])


def test_an_admin_sees_no_other_tenant(opened: tuple[World, TestClient]) -> None:
    """404, as for one that does not exist."""
    world, client = opened
    admin, other = world.add_account("a", KeyScope.admin), world.add_account("b")
    addresses = [
        f"/v1/admin/tenants/{other.tenant_id}",
        f"/v1/admin/tenants/{other.tenant_id}/quotas",
        keys_of(other),
        f"{keys_of(other)}/{other.key_id}",
        f"{keys_of(admin)}/{other.key_id}",
    ]

    assert [404] * 5 == [client.get(a, headers=admin.headers).status_code for a in addresses]


def test_a_rotated_key_overlaps_with_the_new_one(opened: tuple[World, TestClient]) -> None:
    """Both work for a while, then the new one only."""
    world, client = opened
    admin = world.add_account("a", KeyScope.admin)
    member = world.add_account("a", tenant_id=admin.tenant_id)
    rotated = client.post(
        f"{keys_of(admin)}/{member.key_id}/rotate",
        json={"overlap_seconds": 60},
        headers=admin.headers,
    ).json()
    new = {"Authorization": f"Bearer {rotated['api_key']}"}
    during = [client.get("/v1/jobs", headers=h).status_code for h in (member.headers, new)]
    world.clock.advance(seconds=61)
    after = [client.get("/v1/jobs", headers=h).status_code for h in (member.headers, new)]

    assert [200, 200] == during
    assert [401, 200] == after
    assert "member" == rotated["scope"]


def test_a_disabled_tenant_is_locked_out(opened: tuple[World, TestClient]) -> None:
    """Its keys are refused at once, and good again when it is enabled."""
    world, client = opened
    operator, account = world.add_account("root", KeyScope.operator), world.add_account("a")
    address = f"/v1/admin/tenants/{account.tenant_id}"
    statuses = [client.get("/v1/jobs", headers=account.headers).status_code]
    for is_disabled in (True, False):
        client.patch(address, json={"is_disabled": is_disabled}, headers=operator.headers)
        statuses.append(client.get("/v1/jobs", headers=account.headers).status_code)

    assert [200, 401, 200] == statuses


def test_quotas_are_set_whole(opened: tuple[World, TestClient]) -> None:
    """What is left out takes its default."""
    world, client = opened
    operator, account = world.add_account("root", KeyScope.operator), world.add_account("a")
    address = f"/v1/admin/tenants/{account.tenant_id}/quotas"
    client.put(address, json={"max_open_jobs": 7}, headers=operator.headers)

    quotas = client.get(address, headers=operator.headers).json()
    assert (7, 4) == (quotas["max_open_jobs"], quotas["max_running_jobs"])


def test_a_webhook_is_made_rotated_tested_and_removed(
    opened: tuple[World, TestClient],
) -> None:
    """Its secret is in two answers only."""
    world, client = opened
    client.headers.update(world.add_account("a", KeyScope.admin).headers)
    made = client.post("/v1/webhooks", json={"url": "https://example.com/hook"}).json()
    address = f"/v1/webhooks/{made['webhook_id']}"
    rotated = client.post(f"{address}/rotate-secret", json={"overlap_seconds": 60}).json()
    tested = client.post(f"{address}/test")
    log = client.get(f"{address}/deliveries").json()["items"]
    replayed = client.post(f"{address}/deliveries/{log[0]['delivery_id']}/replay").json()
    shown = client.get(address).json()

    assert made["secret"].startswith("whsec_")
    assert made["secret"] != rotated["secret"]
    assert "secret" not in shown
    assert (202, "webhook.test") == (tested.status_code, log[0]["type"])
    assert log[0]["message_id"] == replayed["message_id"]
    assert [204, 404] == [client.delete(address).status_code for _ in range(2)]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "http://example.com/",
        "https://user:pass@example.com/",
        "https://example.com:22/",
        "ftp://example.com/",
        "https://exämple.com/",
        "x" * 3000,
    ],
)
def test_webhooks_lead_outside_only(opened: tuple[World, TestClient], url: str) -> None:
    """422 before anything is kept."""
    world, client = opened
    client.headers.update(world.add_account("a", KeyScope.admin).headers)
    answer = client.post("/v1/webhooks", json={"url": url})

    assert 422 == answer.status_code
    assert [] == client.get("/v1/webhooks").json()["items"]
