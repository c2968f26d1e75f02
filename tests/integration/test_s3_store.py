"""The S3 store keeps the rules of every object store, on a real server; and its links."""

import json
import secrets
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import pytest

from shared.errors import Unavailable
from shared.object_store import PresignedPost, Store, open_store
from tests.object_store_rules import ObjectStoreRules

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(store_url: str) -> Store:
    """A bucket that other tests have left empty."""
    opened = open_store(store_url)
    opened.prepare()
    for info in list(opened.list_objects("")):
        opened.delete(info.key)
    return opened


class TestS3Store(ObjectStoreRules):
    """``s3://``."""


def _now() -> datetime:
    return datetime.now(UTC)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - our own server
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _post(form: PresignedPost, data: bytes) -> int:
    """Upload as a browser does."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in form.fields.items()
    ]
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n'
    body = b"".join([*parts, head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    request = urllib.request.Request(form.url, body, headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_link_downloads_under_its_name(store: Store) -> None:
    """With nothing but the URL."""
    store.put_bytes("t/video.mp4", b"frames")

    url = store.presign_get(
        "t/video.mp4", now=_now(), expires=MINUTE, download_name='my "film".mp4'
    )
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - our own server
        body, said = response.read(), response.headers["content-disposition"]

    assert b"frames" == body
    assert 'attachment; filename="my__film_.mp4"' == said


def test_a_link_opens_nothing_else(store: Store) -> None:
    """No other object, not after its time, and not without a signature."""
    store.put_bytes("t/a", b"")
    store.put_bytes("t/b", b"")
    url = store.presign_get("t/a", now=_now(), expires=MINUTE, download_name="a")
    old = store.presign_get("t/a", now=_now() - 2 * MINUTE, expires=MINUTE, download_name="a")

    assert 200 == _status(url)
    assert 403 == _status(url.replace("t/a", "t/b"))
    assert 403 == _status(url.replace("filename%3D%22a", "filename%3D%22b"))
    assert 403 == _status(old)
    assert 403 == _status(urlunsplit(urlsplit(url)._replace(query="")))


def test_a_form_uploads_within_its_sizes(store: Store) -> None:
    """One byte less or more is refused, and nothing is stored."""
    form = store.presign_post("t/up", now=_now(), expires=MINUTE, n_bytes=(3, 5))

    assert [True, True] == [_post(form, data) >= 400 for data in (b"12", b"123456")]
    assert not store.exists("t/up")
    assert _post(form, b"1234") in {200, 204}
    assert b"1234" == store.get_bytes("t/up", max_bytes=10)


def test_a_form_uploads_nothing_else(store: Store) -> None:
    """No other key, no later, no other signature."""
    form = store.presign_post("t/up", now=_now(), expires=MINUTE, n_bytes=(0, 5))
    old = store.presign_post("t/up", now=_now() - 2 * MINUTE, expires=MINUTE, n_bytes=(0, 5))
    changed = [
        form._replace(fields={**form.fields, "key": "t/other"}),
        form._replace(fields={**form.fields, "x-amz-signature": "0" * 64}),
        old,
    ]

    assert [403, 403, 403] == [_post(one, b"1") for one in changed]
    assert [] == list(store.list_objects(""))


def test_links_name_the_public_address(store_url: str) -> None:
    """Browsers do not reach what workers reach."""
    joined = "&" if "?" in store_url else "?"
    store = open_store(f"{store_url}{joined}public=https://media.example.com")

    url = store.presign_get("t/a", now=_now(), expires=MINUTE, download_name="a")
    form = store.presign_post("t/a", now=_now(), expires=MINUTE, n_bytes=(0, 5))

    assert url.startswith("https://media.example.com/")
    assert form.url.startswith("https://media.example.com/")


def test_a_wrong_key_and_a_missing_server_are_unavailable(store_url: str) -> None:
    """And the message keeps the secret."""
    parts = urlsplit(store_url)
    wrong = parts._replace(netloc=f"{parts.username}:wrong-secret@{parts.hostname}:{parts.port}")
    nobody = parts._replace(netloc="a:wrong-secret@127.0.0.1:9")
    messages = []
    for url in (wrong, nobody):
        with pytest.raises(Unavailable) as error:
            open_store(urlunsplit(url)).put_bytes("t/a", b"")
        messages.append(error.value.message)

    assert "wrong-secret" not in json.dumps(messages)
