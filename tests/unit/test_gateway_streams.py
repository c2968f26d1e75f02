"""A job's log as a stream: resumed where it broke off, closed with the job, costing nothing."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping

import anyio
import pytest
from fastapi.testclient import TestClient

from api.db.records import KeyScope
from api.dependencies import Call
from api.http import sse
from api.http.job_watcher import JobWatcher
from api.http.problems import Refused
from api.http.streams import OpenStreams
from api.routes.job_stream import read_chapter, tell_job
from api.settings import GatewaySettings
from api.tokens import Principal
from shared.errors import Unavailable
from tests.gateway_world import Account, World, open_world, path_of


@pytest.fixture
def opened() -> Iterator[tuple[World, TestClient, Account, str]]:
    """A gateway, its client, the account, and the address of a queued job's events."""
    with open_world() as (world, client):
        account = world.add_account("a")
        client.headers.update(account.headers)
        yield world, client, account, path_of(world.add_avatar(client, account)["urls"]["events"])


def test_a_stream_tells_everything_and_ends(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """From the first event to the last, with ids, a retry time, and no caching."""
    _, client, _, events = opened
    client.post(events.replace("/events", "/cancel"))
    answer = client.get(events)

    blocks = [block for block in answer.text.split("\n\n") if block.startswith("id: ")]
    assert answer.text.startswith("retry: 2000\n\n")
    assert ["1", "2", "3"] == [block.split("\n")[0].removeprefix("id: ") for block in blocks]
    assert "event: job.queued" in blocks[0]
    assert "event: job.canceled" in blocks[-1]
    assert "text/event-stream" == answer.headers["content-type"].split(";")[0]
    assert "no-store" == answer.headers["Cache-Control"]


def test_a_stream_goes_on_after_the_last_event(
    opened: tuple[World, TestClient, Account, str],
) -> None:
    """Nothing twice; once all is told, 204 stops the browser's reconnecting."""
    _, client, _, events = opened
    client.post(events.replace("/events", "/cancel"))
    rest = client.get(events, headers={"Last-Event-ID": "1"})
    nothing = client.get(events, headers={"Last-Event-ID": "3"})
    malformed = client.get(events, headers={"Last-Event-ID": "-1"})

    assert "event: job.queued" not in rest.text
    assert "event: job.canceled" in rest.text
    assert (204, 400) == (nothing.status_code, malformed.status_code)


def test_a_stream_waits_for_what_happens(opened: tuple[World, TestClient, Account, str]) -> None:
    """What is written while it is open is told at once, and the count of open ones goes back."""
    world, client, account, events = opened
    job_id = events.split("/")[3]

    async def listen() -> list[bytes]:
        async with anyio.create_task_group() as group:
            group.start_soon(world.parts.watcher.run)
            call = _call(world, account)
            first = read_chapter(call, job_id, 0)
            assert first is not None
            told: list[bytes] = []
            with anyio.fail_after(10):
                async for text in tell_job(call, job_id, first, 0):
                    told.append(text)
                    if b"job.queued" in text:
                        await anyio.to_thread.run_sync(
                            client.post, events.replace("/events", "/cancel")
                        )
            group.cancel_scope.cancel()
        return told

    told = anyio.run(listen)
    assert b"job.canceled" in told[-1]
    world.parts.streams.check(account.tenant_id, 1)


def test_a_quiet_stream_says_that_it_lives(
    opened: tuple[World, TestClient, Account, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment before any proxy gives it up."""
    world, _, account, events = opened
    job_id = events.split("/")[3]
    monkeypatch.setattr(sse, "COMMENT_SECONDS", 0.01)

    async def listen() -> bytes:
        call = _call(world, account)
        first = read_chapter(call, job_id, 0)
        assert first is not None
        stream = tell_job(call, job_id, first, 0)
        texts = [await anext(stream) for _ in range(3)]
        await _close(stream)
        return texts[-1]

    assert sse.COMMENT == anyio.run(listen)


def test_streams_of_one_tenant_are_limited() -> None:
    """One more is 429; others' do not count; a closed one frees its place."""
    streams = OpenStreams()
    with streams.hold("ten_a", 1):
        streams.check("ten_b", 1)
        with pytest.raises(Refused) as refusal:
            streams.check("ten_a", 1)

    assert "too_many_streams_open" == refusal.value.code
    assert '"concurrent-requests";q=1;w=1' == refusal.value.headers["RateLimit-Policy"]
    streams.check("ten_a", 1)


def test_a_stream_beyond_the_limit_is_refused_before_it_begins() -> None:
    """As a problem, not as a broken stream."""
    with open_world(GatewaySettings(streams_per_tenant=1)) as (world, client):
        account = world.add_account("a", KeyScope.member)
        client.headers.update(account.headers)
        events = path_of(world.add_avatar(client, account)["urls"]["events"])
        with world.parts.streams.hold(account.tenant_id, 1):
            answer = client.get(events)
            waiting = client.get(events.removesuffix("/events"), headers={"Prefer": "wait=5"})

    assert (429, "too_many_streams_open") == (answer.status_code, answer.json()["code"])
    assert 429 == waiting.status_code


def test_many_watchers_cost_one_query() -> None:
    """Each is woken by a version that it does not know, and by nothing else."""
    asked: list[frozenset[str]] = []
    versions = {"a": 1, "b": 1}

    def read(ids: frozenset[str]) -> Mapping[str, int]:
        asked.append(ids)
        if len(asked) == 1:
            raise Unavailable("database_unavailable", "away")
        if len(asked) == 3:
            versions["a"] = 2
        return versions

    async def watch() -> list[bool]:
        watcher = JobWatcher(read, logging.getLogger("test"), tick_seconds=0.01)
        changed: list[bool] = []

        async def wait(job_id: str, version: int, seconds: float) -> None:
            changed.append(await watcher.changed(job_id, version, seconds))

        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(wait, "b", 1, 2.0)
                for _ in range(50):
                    waiting.start_soon(wait, "a", 1, 5.0)
            group.cancel_scope.cancel()
        return changed

    changed = anyio.run(watch)
    assert [True] * 50 + [False] == changed
    assert frozenset({"a", "b"}) == asked[0]
    assert frozenset({"b"}) == asked[-1]


def _call(world: World, account: Account) -> Call:
    return Call(
        parts=world.parts,
        principal=Principal(account.tenant_id, account.key_id, KeyScope.member),
        traceparent="",
        address="http://testserver",
        path="",
        threads=anyio.CapacityLimiter(2),
    )


async def _close(stream: AsyncIterator[bytes]) -> None:
    close = getattr(stream, "aclose", None)
    assert close is not None
    await close()
