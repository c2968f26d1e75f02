"""The folder store: what a file system may do to it, and whom it trusts."""

import os
from pathlib import Path

import pytest

from shared.errors import InvalidInput, PlatformError, Unavailable
from shared.object_store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    opened = open_store(f"file://{tmp_path}/store")
    opened.prepare()
    return opened


@pytest.mark.parametrize(
    "url",
    [
        "", "store", "/store", "ftp://a/b", "file://", "file:///", "file://host/a", "file:a",
        "s3://host/bucket", "s3://a:b@host", "s3://a:b@host/UPPER", "s3://a:b@host/b/c",
        "s3://a:b@host:99999/bucket", "s3://a:b@host/bucket?secure=maybe",
        "s3://a:b@host/bucket?typo=1", "s3://a:b@host/bucket?public=host", "s3://[::1/bucket",
    ],
)  # fmt: skip
def test_a_bad_url_is_refused(url: str) -> None:
    """Before anything is opened."""
    with pytest.raises(InvalidInput) as refusal:
        open_store(url)

    assert "bad_store_url" == refusal.value.code


def test_a_refused_url_keeps_its_secret() -> None:
    """Messages end up in logs."""
    with pytest.raises(InvalidInput) as refusal:
        open_store("s3://access:hush-hush@host/BUCKET")

    assert "hush-hush" not in refusal.value.message


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    """It may be mounted again; it is not the caller's fault."""
    store = open_store(f"file://{tmp_path}/nowhere")
    codes = []
    for ask in (
        store.check,
        lambda: store.put_bytes("a", b""),
        lambda: store.get_bytes("a", max_bytes=1),
    ):
        with pytest.raises(Unavailable) as error:
            ask()
        codes.append(error.value.code)

    assert ["store_unavailable"] * 3 == codes


def test_a_key_cannot_be_a_folder_of_another(store: Store) -> None:
    """Neither way round."""
    store.put_bytes("a", b"")
    store.put_bytes("b/c", b"")
    codes = []
    for key in ("a/b", "b"):
        with pytest.raises(PlatformError) as error:
            store.put_bytes(key, b"")
        codes.append(error.value.code)

    assert ["bad_store_key"] * 2 == codes


def test_unfinished_objects_are_not_listed(store: Store, tmp_path: Path) -> None:
    """They lie beside the objects, not among them."""
    (tmp_path / "store" / "incoming" / "half").write_bytes(b"half")
    store.put_bytes("a", b"")

    assert ["a"] == [info.key for info in store.list_objects("")]


def test_the_secret_of_links_is_one_and_for_the_owner_only(tmp_path: Path) -> None:
    """Two processes of one folder trust each other's links."""
    first, second = (open_store(f"file://{tmp_path}") for _ in range(2))
    first.prepare()

    assert getattr(first, "link_secret") == getattr(second, "link_secret")  # noqa: B009
    assert 0o600 == (tmp_path / "link_secret").stat().st_mode & 0o777


def test_what_a_killed_process_left_half_written_goes_after_a_day(
    store: Store, tmp_path: Path
) -> None:
    """What is being written stays."""
    incoming = tmp_path / "store" / "incoming"
    old, new = incoming / "old", incoming / "new"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))

    store.prepare()

    assert [new] == list(incoming.iterdir())
