"""Receivers that stall, flood or answer nonsense, over real sockets on this machine."""

import ipaddress
import socket
import time

import pytest

from api.webhooks.address import AddressRules
from api.webhooks.client import MAX_BODY_BYTES, MAX_RECEIVED_BYTES, Answer, WebhookClient
from tests.integration.receivers import Handle, answering, endless, listening, read_request

_TIMEOUT = 1.0


def _header_then_flood(connection: socket.socket) -> None:
    """A header that is read by itself, then as much as is read in all."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.2)
    connection.sendall(b"y" * 2 * MAX_RECEIVED_BYTES)


def _answer_of(handle: Handle) -> Answer:
    with listening(handle) as receiver:
        rules = AddressRules(
            ports=frozenset({receiver.port}),
            is_http_allowed=True,
            allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        )
        client = WebhookClient(rules, timeout_seconds=_TIMEOUT)
        return client.post(f"http://127.0.0.1:{receiver.port}/", {"webhook-id": "msg_1"}, b"{}")


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(lambda _connection: time.sleep(30), id="silence"),
        pytest.param(endless(b"HTTP/1.1 200 OK\r\n", b"x", 0.05), id="slow header"),
        pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02), id="slow 100s"),
    ],
)
def test_a_receiver_that_stalls_is_given_up_in_time(handle: Handle) -> None:
    """The limit is for everything together, not for each byte."""
    started = time.monotonic()

    answer = _answer_of(handle)

    assert (None, "timeout") == (answer.status, answer.error)
    assert time.monotonic() - started < _TIMEOUT + 1


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"y" * 65_536), id="endless body"),
        pytest.param(
            endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"y" * 65_536),
            id="huge body",
        ),
        pytest.param(_header_then_flood, id="flood after the header"),
        pytest.param(
            endless(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"400\r\n" + b"y" * 1024 + b"\r\n",
            ),
            id="endless chunks",
        ),
    ],
)
def test_of_an_endless_answer_the_beginning_is_read(handle: Handle) -> None:
    """The receiver has said yes; the rest is not wanted."""
    answer = _answer_of(handle)

    assert (200, "y" * MAX_BODY_BYTES) == (answer.status, answer.body)
    assert answer.seconds < _TIMEOUT


def test_a_slow_body_does_not_take_back_the_status() -> None:
    """It is read until the time is up."""
    answer = _answer_of(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"z", 0.1))

    assert (200, None) == (answer.status, answer.error)
    assert _TIMEOUT - 0.1 < answer.seconds < _TIMEOUT + 1


@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 8000 + b"\r\n"), id="headers"),
        pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400), id="flood of 100s"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.2\r\n"), id="not http"),
        pytest.param(answering(b"\x00" * 500), id="zeros"),
        pytest.param(answering(b"HTTP/1.1 999999 x\r\n\r\n"), id="strange status"),
        pytest.param(answering(), id="hangs up"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-"), id="hangs up early"),
    ],
)
def test_nonsense_is_a_failed_attempt(handle: Handle) -> None:
    """Nothing escapes, and no more than the limit is read."""
    answer = _answer_of(handle)

    assert (None, "bad_answer") == (answer.status, answer.error)
    assert MAX_RECEIVED_BYTES < 100_000


def test_statuses_and_retry_after_are_told() -> None:
    """410, 429 and 503 as the schedule wants them."""
    answers = [
        _answer_of(
            answering(b"HTTP/1.1 " + status + b" x\r\nContent-Length: 0\r\n" + more + b"\r\n")
        )
        for status, more in (
            (b"410", b""),
            (b"429", b"Retry-After: 120\r\n"),
            (b"503", b"retry-after: Sat, 21 Nov 2026 12:01:00 GMT\r\n"),
        )
    ]

    assert [(410, None), (429, "120"), (503, "Sat, 21 Nov 2026 12:01:00 GMT")] == [
        (answer.status, answer.retry_after) for answer in answers
    ]


def test_the_log_keeps_printable_text_only() -> None:
    """Neither NUL, which a database refuses, nor line breaks, nor broken UTF-8."""
    body = b"a\x00b\r\nc\x1b[2J\xff\xfe"
    length = b"Content-Length: %d\r\n\r\n" % len(body)

    answer = _answer_of(answering(b"HTTP/1.1 500 x\r\n" + length + body))

    assert answer.body.isprintable()
    assert answer.body.startswith("a b  c [2J")
