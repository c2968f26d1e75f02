"""A receiver of webhooks that checks signatures and remembers what it was told."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Inbox:
    """Messages by their id; one that comes again is counted, not kept twice."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        """Path -> secret of the webhook that posts to it."""
        self.messages: dict[str, Mapping[str, Any]] = {}
        self.n_received = 0
        self.n_bad = 0
        self._lock = threading.Lock()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Check a message; returns the status to answer."""
        with self._lock:
            self.n_received += 1
            try:
                Webhook(self.secrets[path]).verify(body, dict(headers))
            except WebhookVerificationError:
                self.n_bad += 1
                return 400
            self.messages[headers["webhook-id"]] = json.loads(body)
            return 204

    def jobs(self, event_type: str) -> list[str]:
        """Ids of jobs that a message of that type told of, once for each message id."""
        with self._lock:
            return [
                message["data"]["job_id"]
                for message in self.messages.values()
                if message["type"] == event_type
            ]


@contextmanager
def open_inbox() -> Iterator[tuple[Inbox, int]]:
    """An inbox and the port it listens on, on this machine alone."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        """Answers one message."""

        def do_POST(self) -> None:
            """Take it."""
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            self.send_response(inbox.take(self.path, headers, body))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield inbox, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
