"""Gateways on the real servers: races, kills, streams, waiting, uploads to S3."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from api.serving import listen
from tests.gateway_world import Account, avatar_body, upload_body
from tests.integration.databases import migrate_template
from tests.integration.live_gateway import LiveGateway, Places


@pytest.fixture(scope="module")
def gateways(
    database_url: str,
    broker_url: str,
    store_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LiveGateway, LiveGateway]]:
    """Two gateways on one database."""
    places = Places(migrate_template(database_url), broker_url, store_url)
    folder: Path = tmp_path_factory.mktemp("gateways")
    pair = tuple(
        LiveGateway(places, folder / f"{n}.log", TALKSPLAT_STREAMS_PER_TENANT="200")
        for n in range(2)
    )
    first, second = pair
    for gateway in pair:
        gateway.start()
    yield first, second
    for gateway in pair:
        gateway.kill()
        gateway.database.dispose()


def test_a_raced_submission_is_done_once(gateways: tuple[LiveGateway, LiveGateway]) -> None:
    """Through two gateways at once: one avatar, every other answer a replay or a 409."""
    account = gateways[0].add_account()
    body = avatar_body(gateways[0].add_upload(account))
    for round_number in range(10):
        key = {"Idempotency-Key": f"race-{round_number}"}
        barrier = threading.Barrier(12)

        def submit(n: int, key: dict[str, str] = key, barrier: threading.Barrier = barrier) -> str:
            with gateways[n % 2].client(account) as client:
                barrier.wait()
                answer = client.post("/v1/avatars", json=body, headers=key)
            replayed = answer.headers.get("Idempotent-Replayed", "")
            return f"{answer.status_code}{replayed}"

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(submit, range(12)))
        assert 1 == answers.count("202"), answers
        assert {"202", "202true", "409"} >= set(answers)
    with gateways[1].client(account) as client:
        assert 10 == len(client.get("/v1/avatars?limit=100").json()["items"])


def test_a_stream_is_resumed_at_another_gateway(
    gateways: tuple[LiveGateway, LiveGateway],
) -> None:
    """The first is killed while it tells; the second goes on after the last event, to the end."""
    first, second = gateways
    account = first.add_account()
    job_id = first.add_avatar(account)["job_id"]
    events = f"/v1/jobs/{job_id}/events"
    told = _listen_and_kill(first, account, events)
    first.start()
    last = next(line for line in told if line.startswith("id: ")).removeprefix("id: ")
    rest: list[str] = []
    with second.client(account, **{"Last-Event-ID": last}) as client:
        with client.stream("GET", events) as stream:
            for line in stream.iter_lines():
                rest.append(line)
                if line.startswith("retry:"):
                    threading.Thread(target=_cancel, args=(first, account, job_id)).start()
        ended = client.get(events, headers={"Last-Event-ID": _ids(rest)[-1]})

    assert ["1"] == _ids(told)
    assert ["2", "3"] == _ids(rest)
    assert "event: job.canceled" in rest
    assert 204 == ended.status_code


def test_waiting_requests_hold_no_connection(gateways: tuple[LiveGateway, LiveGateway]) -> None:
    """Sixty wait, ten database connections, and others are answered as fast as ever."""
    first, second = gateways
    account = first.add_account()
    job_id = first.add_avatar(account)["job_id"]

    def wait(_: int) -> str:
        with first.client(account, Prefer="wait=60") as client:
            status: str = client.get(f"/v1/jobs/{job_id}").json()["status"]
        return status

    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(wait, n) for n in range(60)]
        time.sleep(2.0)
        with first.client(account) as client:
            started = time.monotonic()
            for _ in range(20):
                assert 200 == client.get("/v1/jobs").status_code
            seconds = (time.monotonic() - started) / 20
        is_anyone_done = any(one.done() for one in waiting)
        _cancel(second, account, job_id)
        statuses = {one.result() for one in waiting}

    assert not is_anyone_done
    assert {"canceled"} == statuses
    assert seconds < 0.2


def test_s3_takes_a_form_and_nothing_else(gateways: tuple[LiveGateway, LiveGateway]) -> None:
    """The announced size, the signed key; the gateway then has a worker verify it."""
    account = gateways[0].add_account()
    with gateways[0].client(account) as client:
        upload = client.post("/v1/uploads", json=upload_body()).json()
        form = upload["form"]
        early = client.post(f"/v1/uploads/{upload['upload_id']}/complete")
        statuses = [
            httpx2.post(
                form["url"],
                data={**form["fields"], **changes},
                files={"file": ("x", data)},
                trust_env=False,
            ).status_code
            for data, changes in (
                (b"x" * 1001, {}),
                (b"x" * 999, {}),
                (b"x" * 1000, {"key": "tenants/other/uploads/x"}),
                (b"x" * 1000, {}),
            )
        ]
        complete = client.post(f"/v1/uploads/{upload['upload_id']}/complete")
        job = client.get(complete.headers["Location"]).json()

    assert 409 == early.status_code
    assert [400, 400, 403, 204] == statuses
    assert (202, "verifying") == (complete.status_code, complete.json()["status"])
    assert "verify_upload" == job["kind"]


def test_the_trace_of_a_request_is_its_jobs(gateways: tuple[LiveGateway, LiveGateway]) -> None:
    """From the header to the job; every answer names it."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    account = gateways[0].add_account()
    body = avatar_body(gateways[0].add_upload(account))
    with gateways[0].client(account, traceparent=f"00-{trace}-00f067aa0ba902b7-01") as client:
        answer = client.post("/v1/avatars", json=body, headers={"Idempotency-Key": "t"})
        job = client.get(answer.headers["Location"]).json()

    assert trace == job["trace_id"] == answer.headers["X-Request-Id"]


def test_a_gateway_ends_in_peace(gateways: tuple[LiveGateway, LiveGateway]) -> None:
    """Exit code 0 after SIGTERM, with an open stream; its log has no traceback."""
    second = gateways[1]
    account = second.add_account()
    job_id = second.add_avatar(account)["job_id"]
    opened = threading.Event()

    def listen() -> None:
        with (
            second.client(account) as client,
            client.stream("GET", f"/v1/jobs/{job_id}/events") as stream,
        ):
            try:
                for _ in stream.iter_lines():
                    opened.set()
            except httpx2.TransportError:
                return

    listener = threading.Thread(target=listen)
    listener.start()
    assert opened.wait(10)
    code = second.stop()
    listener.join()
    second.start()

    assert 0 == code, second.log_text()
    lines = [json.loads(line) for line in second.log_text().splitlines()]
    assert [] == [line for line in lines if "exception" in line]


def test_answers_are_not_held_back() -> None:
    """Connections inherit TCP_NODELAY from the listener."""
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        is_at_once = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert is_at_once


def _listen_and_kill(gateway: LiveGateway, account: Account, events: str) -> list[str]:
    """Lines of a stream up to its first event, with which its gateway is killed."""
    told: list[str] = []
    with gateway.client(account) as client:
        try:
            with client.stream("GET", events) as stream:
                for line in stream.iter_lines():
                    told.append(line)
                    if line.startswith("data:"):
                        gateway.kill()
        except httpx2.TransportError:
            return told
    return told


def _cancel(gateway: LiveGateway, account: Account, job_id: str) -> None:
    with gateway.client(account) as client:
        assert 202 == client.post(f"/v1/jobs/{job_id}/cancel").status_code


def _ids(lines: list[str]) -> list[str]:
    return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
