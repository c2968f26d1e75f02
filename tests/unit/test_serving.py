"""A process that serves must not outlive its engine."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from api.serving import serve_http
from shared.errors import Unavailable


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Listens on a file; signals are handled as before afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        yield listener
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def app() -> FastAPI:
    """One whose streams end when it is told to."""
    app = FastAPI()
    app.state.parts = SimpleNamespace(watcher=SimpleNamespace(close=lambda: None))
    return app


def test_a_server_whose_engine_has_ended_ends_with_an_error(
    app: FastAPI, listener: socket.socket
) -> None:
    """So that whoever runs the process starts it again."""
    with pytest.raises(Unavailable) as ended:
        serve_http(app, listener, lambda: False)

    assert "engine_stopped" == ended.value.code


def test_a_signal_ends_a_healthy_server_in_peace(app: FastAPI, listener: socket.socket) -> None:
    """Once it serves, and without an error."""
    looks = []

    def is_alive() -> bool:
        looks.append(True)
        if len(looks) == 1:
            signal.raise_signal(signal.SIGTERM)
        return True

    serve_http(app, listener, is_alive)

    assert looks
