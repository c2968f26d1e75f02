"""Upload and download through the gateway, where the store is a folder."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.errors import InvalidInput
from shared.object_store import open_store
from tests.gateway_world import World, open_world, path_of, upload_body

DATA = b"0123456789" * 100


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[World, TestClient, dict[str, Any]]]:
    """A gateway on a folder store, its client without a key, and the form of an upload."""
    store = open_store(f"file://{tmp_path}")
    store.prepare()
    with open_world(store=store) as (world, client):
        account = world.add_account("a")
        upload = client.post("/v1/uploads", json=upload_body(), headers=account.headers).json()
        yield world, client, upload["form"]


def send(
    client: TestClient, form: dict[str, Any], data: bytes = DATA, **changes: str
) -> tuple[int, str]:
    """Status and code of sending ``data`` with a form."""
    fields = {**form["fields"], **changes}
    answer = client.post(path_of(form["url"]), data=fields, files={"file": ("x", data)})
    return answer.status_code, answer.json()["code"] if answer.content else ""


def test_a_form_takes_its_file(opened: tuple[World, TestClient, dict[str, Any]]) -> None:
    """Without a key; the bytes lie where the upload says."""
    world, client, form = opened
    status = send(client, form)

    assert (204, "") == status
    assert DATA == world.store.get_bytes(form["fields"]["key"], max_bytes=10_000)


@pytest.mark.parametrize(
    ("data", "changes", "expected"),
    [
        (DATA + b"x", {}, (413, "body_too_large")),
        (DATA[:-1], {}, (422, "upload_too_small")),
        (DATA, {"max_bytes": "999999999"}, (403, "bad_link")),
        (DATA, {"key": "tenants/other/uploads/x"}, (403, "bad_link")),
        (DATA, {"key": "../../etc/passwd"}, (403, "bad_link")),
        (DATA, {"signature": ""}, (403, "bad_link")),
        (DATA, {"expires": "99999999999999999999"}, (403, "bad_link")),
    ],
)
def test_other_forms_are_refused(
    opened: tuple[World, TestClient, dict[str, Any]],
    data: bytes,
    changes: dict[str, str],
    expected: tuple[int, str],
) -> None:
    """Nothing is stored."""
    world, client, form = opened
    status = send(client, form, data, **changes)

    assert expected == status
    assert [] == list(world.store.list_objects(""))


def test_a_form_ends(opened: tuple[World, TestClient, dict[str, Any]]) -> None:
    """An hour after it was asked for."""
    world, client, form = opened
    world.clock.advance(hours=1, seconds=1)

    assert (403, "link_expired") == send(client, form)


BROKEN = {
    "no_body": (b"", "multipart/form-data; boundary=x"),
    "no_boundary": (b"--x--\r\n", "multipart/form-data"),
    "json": (b"{}", "application/json"),
    "no_end": (
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
        "multipart/form-data; boundary=x",
    ),
    "noise": (b"\x00\xff" * 500, "multipart/form-data; boundary=x"),
    "long_field": (
        b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + b"k" * 10_000 + b"\r\n--x--",
        "multipart/form-data; boundary=x",
    ),
    "long_header": (
        b"--x\r\nContent-Disposition: " + b"k" * 10_000 + b"\r\n\r\n",
        "multipart/form-data; boundary=x",
    ),
}


@pytest.mark.parametrize(("body", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_forms_are_refused(
    opened: tuple[World, TestClient, dict[str, Any]], body: bytes, kind: str
) -> None:
    """400, 403 or 415; never an error of ours."""
    _, client, _ = opened
    answer = client.post("/store", content=body, headers={"content-type": kind})

    assert answer.status_code in {400, 403, 415}, answer.text


def test_a_link_hands_a_file_out(opened: tuple[World, TestClient, dict[str, Any]]) -> None:
    """As a download that no browser shows as a page of ours."""
    world, client, _ = opened
    world.store.put_bytes("tenants/t/report.html", b"<script>")
    link = world.store.presign_get(
        "tenants/t/report.html",
        now=world.clock.now,
        expires=timedelta(minutes=1),
        download_name="report.html",
    )
    answer = client.get(link)
    changed = client.get(link.replace("report.html?", "other.html?"))
    world.clock.advance(minutes=2)
    late = client.get(link)

    assert (200, b"<script>") == (answer.status_code, answer.content)
    assert 'attachment; filename="report.html"' == answer.headers["Content-Disposition"]
    assert "application/octet-stream" == answer.headers["content-type"]
    assert (403, 403) == (changed.status_code, late.status_code)


def test_a_link_to_nothing_is_not_found(
    opened: tuple[World, TestClient, dict[str, Any]],
) -> None:
    """The object was removed meanwhile."""
    world, client, _ = opened
    link = world.store.presign_get(
        "tenants/t/x", now=world.clock.now, expires=timedelta(minutes=1), download_name="x"
    )
    answer = client.get(link)

    assert (404, "object_not_found") == (answer.status_code, answer.json()["code"])
    with pytest.raises(InvalidInput):
        world.store.stat("tenants/t/x")
