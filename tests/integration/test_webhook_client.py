"""Posts to receivers that lie, stall, flood and redirect, over real sockets on this machine."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.webhooks.address import AddressRules
from api.webhooks.client import Answer, WebhookClient
from api.webhooks.guarded_connection import resolve_name
from api.webhooks.signing import Message, generate_secret, is_signed_by, sign
from tests.integration.receivers import (
    Handle,
    Receiver,
    answering,
    listening,
    make_certificate,
    read_request,
)

_NAME = "hooks.example.com"
_TIMEOUT = 1.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_HERE = "127.0.0.1"
_PUBLIC = "127.0.0.2"
"""Plays a public address: the tests' rules allow it, and nothing else on this machine."""


class Names:
    """A resolver: each look-up gives the next answer, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = [list(answer) for answer in answers]
        self.n_lookups = 0

    def __call__(self, host: str, port: int) -> list[str]:
        """Addresses of any name."""
        assert host
        assert port
        self.n_lookups += 1
        return self._answers[min(self.n_lookups, len(self._answers)) - 1]


def _rules(port: int) -> AddressRules:
    return AddressRules(
        ports=frozenset({port}),
        is_http_allowed=True,
        allowed_networks=(ipaddress.ip_network(f"{_PUBLIC}/32"),),
    )


def _post(port: int, names: Names | None = None, *, path: str = "/", body: bytes = b"{}") -> Answer:
    client = WebhookClient(
        _rules(port), timeout_seconds=_TIMEOUT, resolve=names or Names([_PUBLIC])
    )
    return client.post(f"http://{_NAME}:{port}{path}", {"webhook-id": "msg_1"}, body)


@pytest.fixture
def trap() -> Iterator[Receiver]:
    """A server on the inside, which nobody may reach."""
    with listening(answering(_OK), _HERE) as receiver:
        yield receiver


def _answer_of(handle: Handle) -> Answer:
    with listening(handle, _PUBLIC) as receiver:
        return _post(receiver.port)


def test_a_message_arrives_as_it_was_signed() -> None:
    """Body, signature headers, the name in the Host header, and nothing that tells of us."""
    got: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        got.append(read_request(connection))
        connection.sendall(_OK)

    secret, now = generate_secret(bytes), datetime.now(UTC)
    signed = sign(Message("msg_1", now, b'{"a":1}'), [secret])
    with listening(handle, _PUBLIC) as receiver:
        client = WebhookClient(_rules(receiver.port), resolve=Names([_PUBLIC]))
        answer = client.post(f"http://{_NAME}:{receiver.port}/hook?x=1", signed, b'{"a":1}')

    head, _, body = got[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
    assert (200, "ok", None) == (answer.status, answer.body, answer.error)
    assert "POST /hook?x=1 HTTP/1.1" == lines[0]
    assert f"{_NAME}:{receiver.port}" == headers["host"]
    assert is_signed_by(secret, headers, body, now)
    assert {
        "host", "user-agent", "accept-encoding", "connection", "content-type", "content-length",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    } == set(headers)  # fmt: skip


def test_a_redirect_to_the_inside_is_not_followed(trap: Receiver) -> None:
    """3xx is an answer like any other, and no success."""
    location = f"Location: http://{_HERE}:{trap.port}/\r\n".encode()
    for status in (b"301", b"302", b"303", b"307", b"308"):
        answer = _answer_of(
            answering(b"HTTP/1.1 " + status + b" x\r\n" + location + b"Content-Length: 0\r\n\r\n")
        )
        assert int(status) == answer.status
    assert 0 == trap.n_connections


@pytest.mark.parametrize(
    "addresses",
    [
        [_HERE],
        ["::1"],
        [f"::ffff:{_HERE}"],
        ["64:ff9b::7f00:1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],  # noqa: S104 - leads to this machine
        [_PUBLIC, _HERE],
        [_HERE, _PUBLIC],
    ],
)
def test_a_name_that_leads_inside_is_refused(trap: Receiver, addresses: list[str]) -> None:
    """Even when only one of its addresses does; and the answer does not say where it led."""
    answer = _post(trap.port, Names(addresses))

    assert (None, "address_refused", "") == (answer.status, answer.error, answer.body)
    assert 0 == trap.n_connections


def test_a_name_is_looked_up_once_and_that_very_address_is_used(trap: Receiver) -> None:
    """DNS rebinding: public when asked first, inside when asked again."""
    names = Names([_PUBLIC], [_HERE])
    with listening(answering(_OK), _PUBLIC, trap.port) as public:
        answers = [_post(trap.port, names) for _ in range(2)]

    assert [200, None] == [answer.status for answer in answers]
    assert "address_refused" == answers[1].error
    assert (2, 1, 0) == (names.n_lookups, public.n_connections, trap.n_connections)


def test_proxies_of_the_environment_are_not_asked(
    trap: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would make the connection for us, unchecked."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{_HERE}:{trap.port}")

    assert 200 == _answer_of(answering(_OK)).status
    assert 0 == trap.n_connections


def test_nobody_listening_is_a_failed_attempt() -> None:
    """Refused at once."""
    with listening(answering(_OK), _PUBLIC) as receiver:
        port = receiver.port

    assert "connect_failed" == _post(port).error


def test_a_name_without_addresses_is_a_failed_attempt() -> None:
    """Whether the resolver fails or finds nothing."""

    def fail(host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, host)

    client = WebhookClient(_rules(443), resolve=fail)

    assert "name_not_found" == client.post(f"https://{_NAME}/", {}, b"").error
    assert "name_not_found" == _post(443, Names([])).error


def test_a_resolver_that_hangs_does_not_hold_a_sender() -> None:
    """The limit covers the look-up."""
    release = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        release.wait(30)
        return [_PUBLIC]

    client = WebhookClient(_rules(443), timeout_seconds=0.2, resolve=hang)
    answer = client.post(f"https://{_NAME}/", {}, b"")
    release.set()

    assert "timeout" == answer.error
    assert answer.seconds < 1


@pytest.mark.parametrize(
    "host", ["a..b", "a" * 64 + ".example", "xn--a", "xn--" + "9" * 60, "a_b.example", "1.2.3.4x"]
)
def test_a_strange_name_is_a_failed_attempt(host: str) -> None:
    """However a resolver, TLS and codecs take it."""
    server_port = 1  # nobody listens there
    for resolve in (resolve_name, Names([_PUBLIC])):
        rules = _rules(server_port)
        client = WebhookClient(rules, timeout_seconds=_TIMEOUT, resolve=resolve)

        answer = client.post(f"https://{host}:{server_port}/", {}, b"")

        assert answer.error in {"name_not_found", "connect_failed", "bad_answer", "timeout"}


def test_rules_that_became_stricter_hold_for_old_webhooks() -> None:
    """The URL is checked again before each attempt."""
    client = WebhookClient(AddressRules(), resolve=Names([_PUBLIC]))

    assert "bad_webhook_url" == client.post(f"http://{_NAME}/", {}, b"").error


def test_certificates_are_checked_against_the_name(tmp_path: Path) -> None:
    """Right name and issuer, wrong name, unknown issuer, no TLS at all, silence."""
    server, trusting = make_certificate(tmp_path, _NAME)

    def handle(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secured:
            read_request(secured)
            secured.sendall(_OK)

    def post(port: int, name: str, *, is_trusting: bool = True) -> Answer:
        client = WebhookClient(
            _rules(port),
            timeout_seconds=_TIMEOUT,
            resolve=Names([_PUBLIC]),
            tls=trusting if is_trusting else None,
        )
        return client.post(f"https://{name}:{port}/", {}, b"{}")

    with (
        listening(handle, _PUBLIC) as secure,
        listening(answering(_OK), _PUBLIC) as plain,
        listening(lambda _connection: time.sleep(30), _PUBLIC) as silent,
    ):
        told = [
            post(secure.port, _NAME),
            post(secure.port, "other.example.com"),
            post(secure.port, _NAME, is_trusting=False),
            post(plain.port, _NAME),
            post(silent.port, _NAME),
        ]

    assert (200, None) == (told[0].status, told[0].error)
    assert ["tls_failed", "tls_failed", "timeout", "timeout"] == [a.error for a in told[1:]]
