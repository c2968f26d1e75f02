"""Serves an application until the process is asked to end, or its engine has ended."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from shared.errors import InvalidInput, Unavailable

_GRACE_SECONDS = 10
"""Open streams are cut off after this; their clients go on elsewhere with Last-Event-ID."""
_LOOK_SECONDS = 1
_BACKLOG = 2048


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Take an address, so that a taken one is known before anything starts; port 0 chooses one.

    Raises:
        InvalidInput: ``address_taken``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InvalidInput(
            "address_taken",
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port",
        ) from error
    with listener:
        # asyncio does this for sockets that name TCP as their protocol, and Python's servers do
        # not; without it every answer waits 40 ms for the caller's acknowledgement of its headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Address for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_http(app: FastAPI, listener: socket.socket, is_alive: Callable[[], bool]) -> None:
    """Answer requests until SIGINT or SIGTERM; requests under way are finished.

    Raises:
        Unavailable: ``engine_stopped``: a thread has ended, and the process should start again.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn takes the signal, ends in peace, and raises it again for whoever was there before.
        signal.signal(number, lambda _number, _frame: None)

    async def look() -> None:
        if not is_alive():
            server.should_exit = True

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        callback_notify=look,
        timeout_notify=_LOOK_SECONDS,
    )
    server = _Server(config)
    server.run(sockets=[listener])
    if not is_alive():
        raise Unavailable(
            "engine_stopped", "a thread of the engine has ended; the log says why; start again"
        )


class _Server(uvicorn.Server):
    """Ends streams and waiting requests first, so that nobody has to be cut off."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once the process was asked to end."""
        app = self.config.app
        assert isinstance(app, FastAPI)
        app.state.parts.watcher.close()
        await super().shutdown(sockets)
