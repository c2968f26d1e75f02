"""A small HTTP server beside a worker: /metrics for Prometheus, /healthz and /readyz for probes.

It answers operators inside the network and tells nothing of tenants.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared.observability.readiness import Report

CLIENT_SECONDS = 10.0
"""A client that takes longer to send its request, or to read the answer, is dropped."""
MAX_CONNECTIONS = 16
_JSON = "application/json"


@contextmanager
def serve_metrics(
    registry: CollectorRegistry,
    *,
    host: str,
    port: int,
    is_alive: Callable[[], bool],
    readiness: Callable[[], Report],
) -> Iterator[int]:
    """Serve while the block runs; gives the port, which is chosen freely for 0.

    Args:
        registry: What /metrics shows.
        host: Address to listen at.
        port: Port to listen at.
        is_alive: Whether the process still does its work; else /healthz is 503 and it is restarted.
        readiness: What /readyz tells; 503 unless all is well.

    Raises:
        OSError: the address is taken.
    """
    places = threading.BoundedSemaphore(MAX_CONNECTIONS)

    class Handler(BaseHTTPRequestHandler):
        """One request per connection."""

        timeout = CLIENT_SECONDS
        server_version = "talksplat"
        sys_version = ""
        routes: ClassVar[dict[str, Callable[[], tuple[int, str, bytes]]]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: _health(is_alive=is_alive()),
            "/readyz": lambda: _readiness(readiness()),
        }

        def do_GET(self) -> None:
            """Answer one of the routes."""
            answer = self.routes.get(self.path.partition("?")[0])
            status, content_type, body = (
                answer() if answer else (404, _JSON, b'{"status":"not found"}')
            )
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_message: object) -> None:
            """Nothing: a scrape every few seconds is no event."""

    class Server(ThreadingHTTPServer):
        """Drops connections beyond the limit instead of starting threads for them."""

        daemon_threads = True

        def process_request(self, request: object, client_address: object) -> None:
            if not places.acquire(blocking=False):
                self.shutdown_request(request)  # type: ignore[arg-type]
                return
            super().process_request(request, client_address)  # type: ignore[arg-type]

        def process_request_thread(self, request: object, client_address: object) -> None:
            try:
                super().process_request_thread(request, client_address)  # type: ignore[arg-type]
            finally:
                places.release()

        def handle_error(self, *_request: object) -> None:
            """Nothing: the client went away."""

    with Server((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics")
        thread.daemon = True
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def _health(*, is_alive: bool) -> tuple[int, str, bytes]:
    if is_alive:
        return 200, _JSON, b'{"status":"ok"}'
    return 503, _JSON, b'{"status":"not working"}'


def _readiness(report: Report) -> tuple[int, str, bytes]:
    body = {"status": "ok" if report.is_ready else "not ready", "checks": report.checks}
    return 200 if report.is_ready else 503, _JSON, json.dumps(body).encode()
