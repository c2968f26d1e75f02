"""Signed links: what they allow, for how long, and that nothing in them can be changed."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.errors import InvalidInput
from shared.object_store import open_store
from shared.store_links import (
    DownloadGrant,
    UploadGrant,
    clean_name,
    link_secret,
    read_form,
    read_link,
    sign_form,
    sign_link,
)

SECRET = b"0" * 32
NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = "tenants/t/uploads/u"


def _query(link: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link).query))


def _code(error: pytest.ExceptionInfo[InvalidInput]) -> str:
    return error.value.code


def test_a_link_grants_one_download() -> None:
    """Of its key, under its name."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="me.mp4")

    assert f"/store/{KEY}" == urlsplit(link).path
    assert DownloadGrant(KEY, "me.mp4") == read_link(SECRET, KEY, _query(link), NOW)


def test_a_form_grants_one_upload() -> None:
    """Of its key, within its sizes."""
    form = sign_form(SECRET, KEY, now=NOW, expires=HOUR, n_bytes=(1, 100))

    assert UploadGrant(KEY, 1, 100) == read_form(SECRET, form.fields, NOW)


def test_a_grant_ends() -> None:
    """At its second."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="a")
    form = sign_form(SECRET, KEY, now=NOW, expires=HOUR, n_bytes=(1, 100))

    with pytest.raises(InvalidInput) as late_link:
        read_link(SECRET, KEY, _query(link), NOW + HOUR)
    with pytest.raises(InvalidInput) as late_form:
        read_form(SECRET, form.fields, NOW + HOUR)

    assert {"link_expired"} == {_code(late_link), _code(late_form)}


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "1999999999"},
        {"expires": "-1"},
        {"expires": "9" * 400},
        {"name": "other"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ä" * 64},
    ],
)
def test_a_changed_link_is_refused(change: dict[str, str]) -> None:
    """Whatever was changed."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="me.mp4")

    with pytest.raises(InvalidInput) as refusal:
        read_link(SECRET, KEY, {**_query(link), **change}, NOW)

    assert "bad_link" == _code(refusal)


@pytest.mark.parametrize("key", ["tenants/t/uploads/v", "../etc/passwd", "", "a\nb"])
def test_a_link_opens_no_other_object(key: str) -> None:
    """Nor one outside of the store."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="me.mp4")

    with pytest.raises(InvalidInput) as refusal:
        read_link(SECRET, key, _query(link), NOW)

    assert "bad_link" == _code(refusal)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "tenants/t/uploads/v"},
        {"key": "../v"},
        {"max_bytes": "101"},
        {"min_bytes": "0"},
        {"expires": "1999999999"},
        {"signature": "0" * 64},
    ],
)
def test_a_changed_form_is_refused(change: dict[str, str]) -> None:
    """Whatever was changed."""
    form = sign_form(SECRET, KEY, now=NOW, expires=HOUR, n_bytes=(1, 100))

    with pytest.raises(InvalidInput) as refusal:
        read_form(SECRET, {**form.fields, **change}, NOW)

    assert "bad_link" == _code(refusal)


def test_a_link_is_no_form() -> None:
    """A download's signature uploads nothing."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="1")

    fields = {**_query(link), "key": KEY, "min_bytes": "1", "max_bytes": "1"}
    with pytest.raises(InvalidInput) as refusal:
        read_form(SECRET, fields, NOW)

    assert "bad_link" == _code(refusal)


def test_another_secret_signs_another_store_s_links() -> None:
    """Two stores do not trust each other."""
    link = sign_link(SECRET, KEY, now=NOW, expires=HOUR, download_name="a")

    with pytest.raises(InvalidInput) as refusal:
        read_link(b"1" * 32, KEY, _query(link), NOW)

    assert "bad_link" == _code(refusal)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("me.mp4", "me.mp4"),
        ('a"; b\r\nX: y', "a___b__X__y"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("", "download"),
        ("…", "_"),
        ("x" * 999, "x" * 255),
    ],
)
def test_a_download_s_name_fits_a_header(name: str, cleaned: str) -> None:
    """No quotes, no lines, no folders."""
    assert cleaned == clean_name(name)


def test_s3_links_need_no_route() -> None:
    """The server checks them by itself."""
    assert link_secret(open_store("s3://a:b@127.0.0.1:1/bucket")) is None
    assert link_secret(open_store("memory://links"))
