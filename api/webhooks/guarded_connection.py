"""Connections that reach allowed addresses only, end in time and read no more than they may.

A name is resolved here, its addresses are checked, and the very address that passed is connected
to: a second look-up with another answer (DNS rebinding) does not take place. httpcore does the
HTTP; it reads no proxies from the environment and follows no redirects.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from api.webhooks.address import Address, AddressRules, is_allowed

Resolve = Callable[[str, int], list[str]]
"""Host name and port to numeric addresses; raises OSError. May block for long."""

MAX_ADDRESSES_TRIED = 3
CONNECT_SECONDS = 5.0
"""For one address, so that a second one can still be tried."""


class AddressRefused(Exception):
    """A name leads to an address that may not be reached."""


class NameNotFound(Exception):
    """A name has no address."""


class Deadline:
    """Seconds and bytes that one exchange may still use, over all its steps."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._until = time.monotonic() + seconds
        self._n_left = max_bytes

    def seconds_left(self, late: type[Exception]) -> float:
        """Always positive; raises ``late`` when there is none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise late("out of time")
        return left

    def bytes_left(self) -> int:
        """Always positive; raises httpcore.ReadError when there are none."""
        if self._n_left <= 0:
            raise httpcore.ReadError("the answer is too large")
        return self._n_left

    def count_read(self, n_bytes: int) -> None:
        """Take off what came."""
        self._n_left -= n_bytes


def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Opens the connection of one exchange."""

    def __init__(
        self,
        rules: AddressRules,
        deadline: Deadline,
        resolve: Resolve,
        lookups: threading.Semaphore,
    ) -> None:
        self._rules = rules
        self._deadline = deadline
        self._resolve = resolve
        self._lookups = lookups

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
        local_address: str | None = None,  # noqa: ARG002 - never bound to one
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - none are set
    ) -> httpcore.NetworkStream:
        """Resolve ``host``, check every address, connect to one of exactly those.

        Raises:
            AddressRefused: any of the addresses may not be reached.
            NameNotFound: there are none.
            httpcore.ConnectError, httpcore.ConnectTimeout: nobody answers there.
        """
        addresses = self._checked_addresses(host, port)
        problem: Exception = httpcore.ConnectError("no address")
        for address in addresses[:MAX_ADDRESSES_TRIED]:
            seconds = min(CONNECT_SECONDS, self._deadline.seconds_left(httpcore.ConnectTimeout))
            try:
                connected = socket.create_connection((str(address), port), timeout=seconds)
            except TimeoutError as error:
                problem = httpcore.ConnectTimeout(str(error))
            except OSError as error:
                problem = httpcore.ConnectError(error.strerror or str(error))
            else:
                return self._checked_stream(connected)
        raise problem

    def _checked_addresses(self, host: str, port: int) -> list[Address]:
        addresses = [ipaddress.ip_address(text) for text in self._look_up(host, port)]
        if not addresses:
            raise NameNotFound
        if not all(is_allowed(address, self._rules) for address in addresses):
            raise AddressRefused  # also where others would be allowed: such a name is a trap
        return addresses

    def _checked_stream(self, connected: socket.socket) -> httpcore.NetworkStream:
        """Ask the socket itself where it leads."""
        peer = ipaddress.ip_address(connected.getpeername()[0])
        if not is_allowed(peer, self._rules):
            connected.close()
            raise AddressRefused
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return GuardedStream(connected, self._deadline)

    def _look_up(self, host: str, port: int) -> list[str]:
        """Resolve in a thread of its own: the system's resolver knows no deadline."""
        seconds = self._deadline.seconds_left(httpcore.ConnectTimeout)
        if not self._lookups.acquire(timeout=seconds):
            raise httpcore.ConnectTimeout("too many names are being looked up")
        answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host, port))
            except (OSError, UnicodeError):
                answers.put(None)
            finally:
                self._lookups.release()

        threading.Thread(target=ask, name="webhook-lookup", daemon=True).start()
        try:
            found = answers.get(timeout=self._deadline.seconds_left(httpcore.ConnectTimeout))
        except queue.Empty:
            raise httpcore.ConnectTimeout("the name could not be resolved in time") from None
        if found is None:
            raise NameNotFound
        return found


class GuardedStream(httpcore.NetworkStream):
    """A socket whose every step counts against one deadline and one byte limit."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Bytes that came, or none at the end."""
        self._socket.settimeout(self._deadline.seconds_left(httpcore.ReadTimeout))
        try:
            data = self._socket.recv(min(max_bytes, self._deadline.bytes_left()))
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error
        self._deadline.count_read(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send all of ``buffer``, however slowly it is taken."""
        view = memoryview(buffer)
        while view:
            self._socket.settimeout(self._deadline.seconds_left(httpcore.WriteTimeout))
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
    ) -> httpcore.NetworkStream:
        """Shake hands as ``server_hostname``; ssl.SSLError says what the certificate lacks."""
        try:
            self._socket.settimeout(self._deadline.seconds_left(httpcore.ConnectTimeout))
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except BaseException:
            self.close()
            raise
        return GuardedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002, ANN401 - httpcore's signature
        """Nothing: one exchange per connection needs none of it."""
        return None
