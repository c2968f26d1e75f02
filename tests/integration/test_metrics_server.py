"""The HTTP server beside a worker, over a real socket on this machine."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from shared.observability.metrics_server import MAX_CONNECTIONS, serve_metrics
from shared.observability.readiness import Readiness
from shared.observability.worker_telemetry import WorkerTelemetry

_STATE = {"is_alive": True, "is_ready": True}


def _check() -> None:
    if not _STATE["is_ready"]:
        raise ConnectionError


@pytest.fixture
def port() -> Iterator[int]:
    """Of a worker that has run one stage."""
    registry = CollectorRegistry()
    telemetry = WorkerTelemetry(registry)
    telemetry.stage_started("train")
    telemetry.stage_finished("train", "succeeded", seconds=2, at=1e9)
    _STATE.update(is_alive=True, is_ready=True)
    with serve_metrics(
        registry,
        host="127.0.0.1",
        port=0,
        is_alive=lambda: _STATE["is_alive"],
        readiness=Readiness({"broker": _check}).report,
    ) as port:
        yield port


def _ask(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    told = answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    connection.close()
    return told


def test_metrics_are_served_as_prometheus_reads_them(port: int) -> None:
    """Text format, with the worker's series."""
    status, content_type, text = _ask(port, "/metrics?name=x")

    assert (200, True) == (status, content_type.startswith("text/plain"))
    assert (
        'talksplat_worker_stage_duration_seconds_count{outcome="succeeded",stage="train"} 1.0'
        in text
    )


def test_probes_follow_the_process(port: int) -> None:
    """Alive and ready are different questions."""
    before = [_ask(port, path)[0] for path in ("/healthz", "/readyz")]
    _STATE["is_ready"] = False
    status, _, text = _ask(port, "/readyz")
    alive = _ask(port, "/healthz")[0]
    _STATE["is_alive"] = False

    assert [200, 200] == before
    assert (503, {"status": "not ready", "checks": {"broker": "failed: ConnectionError"}}) == (
        status,
        json.loads(text),
    )
    assert (200, 503) == (alive, _ask(port, "/healthz")[0])


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [("/", "GET", 404), ("/../etc/passwd", "GET", 404), ("/metrics", "POST", 501)],
)
def test_nothing_else_is_served(port: int, path: str, method: str, expected: int) -> None:
    """Three paths, one method."""
    assert expected == _ask(port, path, method)[0]


def test_idle_connections_cannot_use_up_the_server(port: int) -> None:
    """Beyond the limit they are dropped; once they leave, scrapes work again."""
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(MAX_CONNECTIONS + 4)]
    for one in idle:
        one.settimeout(5)
    dropped = sum(1 for one in idle[MAX_CONNECTIONS:] if one.recv(1) == b"")
    for one in idle:
        one.close()

    status = next((told[0] for told in (_try(port) for _ in range(50)) if told is not None), None)
    assert (4, 200) == (dropped, status)


def _try(port: int) -> tuple[int, str, str] | None:
    try:
        return _ask(port, "/healthz")
    except (http.client.HTTPException, ConnectionError):
        return None
