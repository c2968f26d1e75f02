"""What every object store promises; subclasses bring the store.

The class is not collected by itself: its name does not begin with Test.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from shared.errors import InvalidInput, PlatformError
from shared.object_store import CHUNK, Removed, Store

NOW = datetime(2026, 11, 21, 3, 30, tzinfo=UTC)
LARGE = bytes(range(256)) * 4 * 4096 * 5 + b"the end"
"""20 MiB and a bit: several parts, and not a whole number of chunks."""


class StopTransferError(Exception):
    """What a progress raises to end a transfer."""


def refusal_of(error: pytest.ExceptionInfo[PlatformError]) -> str:
    """Code of what was raised."""
    return error.value.code


class ObjectStoreRules:
    """Rules of ``shared/object_store.py``."""

    def test_bytes_come_back(self, store: Store) -> None:
        """As they were, empty ones too."""
        store.put_bytes("t/a.json", b"hello")
        store.put_bytes("t/empty", b"")

        assert b"hello" == store.get_bytes("t/a.json", max_bytes=5)
        assert b"" == store.get_bytes("t/empty", max_bytes=0)

    def test_a_large_file_comes_back(self, store: Store, tmp_path: Path) -> None:
        """In several parts, and every byte is told to the progress."""
        (tmp_path / "up").write_bytes(LARGE)
        up: list[int] = []
        down: list[int] = []

        store.put_file("t/large.bin", tmp_path / "up", up.append)
        size = store.get_file(
            "t/large.bin", tmp_path / "down", max_bytes=len(LARGE), moved=down.append
        )

        assert len(LARGE) == size == sum(up) == sum(down)
        assert (tmp_path / "down").read_bytes() == LARGE
        assert max(down) <= 2 * CHUNK

    def test_an_object_is_replaced(self, store: Store) -> None:
        """The last one counts."""
        store.put_bytes("t/a", b"first and longer")
        store.put_bytes("t/a", b"second")

        assert b"second" == store.get_bytes("t/a", max_bytes=100)
        assert 6 == store.stat("t/a").size

    def test_what_is_too_large_is_not_taken(self, store: Store, tmp_path: Path) -> None:
        """No file is left behind."""
        store.put_bytes("t/a", b"123456")

        with pytest.raises(InvalidInput) as to_file:
            store.get_file("t/a", tmp_path / "a", max_bytes=5)
        with pytest.raises(InvalidInput) as to_memory:
            store.get_bytes("t/a", max_bytes=5)

        assert {"too_large"} == {refusal_of(to_file), refusal_of(to_memory)}
        assert not (tmp_path / "a").exists()

    def test_what_is_not_there_is_said_to_be_missing(self, store: Store, tmp_path: Path) -> None:
        """By every way of asking."""
        store.put_bytes("t/there/inside", b"")
        codes = set()
        for ask in (
            lambda: store.get_file("t/none", tmp_path / "a", max_bytes=5),
            lambda: store.get_bytes("t/there", max_bytes=5),
            lambda: store.stat("t/there"),
            lambda: store.stream("t/none"),
            lambda: store.copy("t/none", "t/other"),
        ):
            with pytest.raises(InvalidInput) as error:
                ask()
            codes.add(refusal_of(error))

        assert {"object_not_found"} == codes
        assert not store.exists("t/none")
        assert not store.exists("t/there")
        assert store.exists("t/there/inside")

    def test_a_part_is_streamed(self, store: Store) -> None:
        """From any byte, of any length, past the end nothing."""
        store.put_bytes("t/a", LARGE[: 3 * CHUNK])

        def read(start: int, length: int | None = None) -> bytes:
            return b"".join(store.stream("t/a", start, length))

        assert LARGE[: 3 * CHUNK] == read(0)
        assert LARGE[CHUNK - 1 : 3 * CHUNK] == read(CHUNK - 1)
        assert LARGE[5 : 5 + CHUNK + 1] == read(5, CHUNK + 1)
        assert b"" == read(3 * CHUNK)
        assert b"" == read(5, 0)

    def test_a_transfer_can_be_stopped(self, store: Store, tmp_path: Path) -> None:
        """Its object never appears; a download leaves no file."""
        (tmp_path / "up").write_bytes(LARGE)
        store.put_bytes("t/there", LARGE)

        def stop(_n_bytes: int) -> None:
            raise StopTransferError

        with pytest.raises(StopTransferError):
            store.put_file("t/a", tmp_path / "up", stop)
        with pytest.raises(StopTransferError):
            store.get_file("t/there", tmp_path / "down", max_bytes=len(LARGE), moved=stop)

        assert not store.exists("t/a")
        assert not (tmp_path / "down").exists()

    def test_a_list_is_in_order_and_below_its_prefix(self, store: Store) -> None:
        """Order of characters, as S3 has it; a longer name is another folder."""
        keys = ["l/a", "l/a-b", "l/a.b", "l/b/c", "l/b/d/e", "l/b-c/d", "lx/a", "l-/a"]
        for key in keys:
            store.put_bytes(key, key.encode())

        listed = list(store.list_objects("l/"))

        assert sorted(key for key in keys if key.startswith("l/")) == [i.key for i in listed]
        assert [len(info.key) for info in listed] == [info.size for info in listed]
        assert ["l/b/d/e"] == [i.key for i in store.list_objects("l/b/", start_after="l/b/c")]
        assert [] == list(store.list_objects("l/none/"))

    def test_a_list_goes_on_after_any_key(self, store: Store) -> None:
        """Whatever its depth."""
        keys = ["p/a/1", "p/a/2", "p/b", "p/c/1", "p/c-d"]
        for key in keys:
            store.put_bytes(key, b"")
        ordered = sorted(keys)

        for n, key in enumerate(ordered):
            found = [info.key for info in store.list_objects("p/", start_after=key)]
            assert ordered[n + 1 :] == found

    def test_a_list_is_longer_than_a_page(self, store: Store) -> None:
        """1,100 objects, and removed in as many pages."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: store.put_bytes(f"many/{n:04d}", b"x"), range(1100)))

        listed = store.list_objects("many/")
        first = list(islice(listed, 3))

        assert ["many/0000", "many/0001", "many/0002"] == [info.key for info in first]
        assert 1097 == sum(1 for _ in listed)
        assert Removed(1100, 1100) == store.delete_prefix("many/")
        assert [] == list(store.list_objects("many/"))

    def test_times_are_in_utc(self, store: Store) -> None:
        """And about now."""
        store.put_bytes("t/a", b"")

        age = datetime.now(UTC) - store.stat("t/a").modified_at
        assert abs(age) < timedelta(seconds=60)
        (listed,) = [info for info in store.list_objects("t/") if info.key == "t/a"]
        assert abs(listed.modified_at - store.stat("t/a").modified_at) < timedelta(seconds=2)

    def test_deleting_twice_is_deleting(self, store: Store) -> None:
        """An object that is not there is removed already."""
        store.put_bytes("t/a", b"")
        store.put_bytes("t/b", b"")

        store.delete("t/a")
        store.delete("t/a")

        assert ["t/b"] == [info.key for info in store.list_objects("t/")]

    def test_a_prefix_is_removed_and_nothing_beside_it(self, store: Store) -> None:
        """Its count and bytes are told."""
        for key in ("d/x/1", "d/x/y/2", "d/x-y/3", "d/xx"):
            store.put_bytes(key, b"12")

        assert Removed(2, 4) == store.delete_prefix("d/x/")
        assert Removed(0, 0) == store.delete_prefix("d/x/")
        assert ["d/x-y/3", "d/xx"] == [info.key for info in store.list_objects("d/")]

    def test_a_copy_is_another_object(self, store: Store) -> None:
        """It stays when the first goes."""
        store.put_bytes("t/a", b"data")

        store.copy("t/a", "t/b/c")
        store.delete("t/a")

        assert b"data" == store.get_bytes("t/b/c", max_bytes=10)

    @pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../b", "a\x00", "a\nb", "x" * 999])
    def test_no_bad_key_reaches_the_store(self, store: Store, key: str, tmp_path: Path) -> None:
        """Neither for reading nor for writing."""
        (tmp_path / "f").write_bytes(b"")
        codes = set()
        for ask in (
            lambda: store.put_bytes(key, b""),
            lambda: store.put_file(key, tmp_path / "f"),
            lambda: store.get_bytes(key, max_bytes=1),
            lambda: store.get_file(key, tmp_path / "g", max_bytes=1),
            lambda: store.stat(key),
            lambda: store.exists(key),
            lambda: store.stream(key),
            lambda: store.delete(key),
            lambda: store.copy("t/a", key),
            lambda: store.copy(key, "t/a"),
            lambda: store.delete_prefix(key + "../"),
            lambda: store.list_objects("../"),
            lambda: store.presign_get(
                key, now=NOW, expires=timedelta(minutes=1), download_name="a"
            ),
            lambda: store.presign_post(key, now=NOW, expires=timedelta(minutes=1), n_bytes=(0, 1)),
        ):
            with pytest.raises(InvalidInput) as error:
                ask()
            codes.add(refusal_of(error))

        assert {"bad_store_key"} == codes

    @pytest.mark.parametrize("prefix", ["", "/", "a", "../", "a/../"])
    def test_only_a_true_prefix_is_removed(self, store: Store, prefix: str) -> None:
        """Above all not everything."""
        store.put_bytes("a/b", b"")

        with pytest.raises(InvalidInput) as error:
            store.delete_prefix(prefix)

        assert "bad_store_key" == refusal_of(error)
        assert store.exists("a/b")

    def test_readers_see_whole_objects_while_they_are_replaced(self, store: Store) -> None:
        """One of the two, never a mixture."""
        bodies = {bytes([letter]) * 300_000 for letter in b"ab"}
        store.put_bytes("t/a", min(bodies))
        seen: set[bytes] = set()

        def write() -> None:
            for _ in range(5):
                for body in bodies:
                    store.put_bytes("t/a", body)

        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            seen.add(store.get_bytes("t/a", max_bytes=400_000))
        writer.join()

        assert seen <= bodies

    def test_objects_come_and_go_from_many_threads(self, store: Store) -> None:
        """Folders appear and vanish under each other's feet."""
        failures: list[PlatformError] = []

        def churn(name: str) -> None:
            try:
                for n in range(15):
                    store.put_bytes(f"c/d/e/{name}", b"x")
                    store.delete(f"c/d/e/{name}")
                    if n % 5 == 0:
                        store.delete_prefix(f"c/d/{name}/")
            except PlatformError as error:
                failures.append(error)

        threads = [threading.Thread(target=churn, args=(f"n{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == failures
        assert [] == list(store.list_objects("c/"))

    def test_an_opened_store_answers(self, store: Store) -> None:
        """Preparing twice is preparing."""
        store.prepare()

        store.check()
