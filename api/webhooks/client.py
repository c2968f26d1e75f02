"""Posts one signed message to a stranger's URL and tells what came of it, whatever comes."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import httpcore

from api.webhooks.address import AddressRules, Target, parse_target
from api.webhooks.guarded_connection import (
    AddressRefused,
    Deadline,
    GuardedBackend,
    NameNotFound,
    Resolve,
    resolve_name,
)
from shared.errors import InvalidInput

TIMEOUT_SECONDS = 15.0
"""From the look-up of the name to the last byte that is read."""
MAX_RECEIVED_BYTES = 65_536
"""Header and body of an answer."""
MAX_BODY_BYTES = 1_024
"""What is kept of an answer for the delivery log."""
MAX_LOOKUPS = 32
"""Names being resolved at once; a resolver that hangs holds one of these, not a sender."""


class Answer(NamedTuple):
    """What came of a post. Without a status, ``error`` names why."""

    status: int | None
    seconds: float
    body: str = ""
    """Its beginning, as printable text."""
    retry_after: str | None = None
    error: str | None = None
    """``timeout``, ``name_not_found``, ``address_refused``, ``connect_failed``, ``tls_failed``,
    ``bad_answer``, ``bad_webhook_url``; from the sender ``bad_webhook_secret``, ``never_ended``."""


Post = Callable[[str, Mapping[str, str], bytes], Answer]
"""URL, headers and body to what came of it; ``WebhookClient.post`` outside of tests."""


class WebhookClient:
    """Keeps what all posts share: trusted certificates, address rules, look-ups under way."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve = resolve_name,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._lookups = threading.Semaphore(MAX_LOOKUPS)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send ``body``; every failure is an answer too. Never follows a redirect."""
        started = time.monotonic()
        try:
            target = parse_target(url, self._rules)
            answer = self._exchange(target, headers, body)
        except InvalidInput as error:  # the operator's rules may be stricter than they were
            answer = Answer(None, 0.0, error=error.code)
        except httpcore.TimeoutException:
            answer = Answer(None, 0.0, error="timeout")
        except AddressRefused:
            answer = Answer(None, 0.0, error="address_refused")
        except NameNotFound:
            answer = Answer(None, 0.0, error="name_not_found")
        except httpcore.ConnectError:
            answer = Answer(None, 0.0, error="connect_failed")
        except ssl.SSLError as error:
            answer = Answer(None, 0.0, error="tls_failed", body=_printable(str(error).encode()))
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError):
            answer = Answer(None, 0.0, error="bad_answer")
        return answer._replace(seconds=time.monotonic() - started)

    def _exchange(self, target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
        deadline = Deadline(self._timeout_seconds, MAX_RECEIVED_BYTES)
        backend = GuardedBackend(self._rules, deadline, self._resolve, self._lookups)
        pool = httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend)
        url = httpcore.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = {
            "Host": target.authority,
            "User-Agent": "talksplat-webhooks/1",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        with pool, pool.stream("POST", url, headers=list(sent.items()), content=body) as response:
            beginning = _read_beginning(response)
            retry_after = _header(response.headers, b"retry-after")
            return Answer(
                response.status,
                0.0,
                body=_printable(beginning),
                retry_after=retry_after.decode("latin-1")[:100] if retry_after else None,
            )


def _read_beginning(response: httpcore.Response) -> bytes:
    """Up to the limit; the status has been given, so what breaks off later changes nothing."""
    read = b""
    try:
        for chunk in response.iter_stream():
            read += chunk
            if len(read) >= MAX_BODY_BYTES:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    return read[:MAX_BODY_BYTES]


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key.lower() == name), None)


def _printable(data: bytes) -> str:
    """Text that neither breaks a line nor a database: Postgres refuses NUL."""
    text = data.decode("utf-8", errors="replace")
    return "".join(one if one.isprintable() else " " for one in text)[:MAX_BODY_BYTES]
