"""A gateway as a process of its own on the real servers, and accounts in its database."""

import itertools
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from api.accounts import KeyTerms, Making, create_key, create_tenant
from api.db.records import KeyScope, UploadStatus
from api.db.resources import change_upload
from api.db.session import engine_work, open_database
from api.gateway import draw_id
from tests.architecture.repository import ROOT
from tests.gateway_world import Account, avatar_body, upload_body

_START_SECONDS = 60.0
_numbers = itertools.count()


class Places(NamedTuple):
    """Where a gateway finds what it needs."""

    database_url: str
    broker_url: str
    store_url: str


class LiveGateway:
    """The process; it may be killed and started again at the same address."""

    def __init__(self, places: Places, log: Path, **settings: str) -> None:
        self.places = places
        self.address = f"http://127.0.0.1:{_free_port()}"
        self._log = log
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.database = open_database(places.database_url)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = {
            **os.environ,
            "TALKSPLAT_DATABASE_URL": self.places.database_url,
            "TALKSPLAT_BROKER_URL": self.places.broker_url,
            "TALKSPLAT_STORE_URL": self.places.store_url,
            **self._settings,
        }
        port = self.address.rpartition(":")[2]
        command = [sys.executable, "-m", "services.embedded.cli", "gateway", "--port", port]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        until = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """End it with -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(30)

    def client(self, account: Account | None = None, **headers: str) -> httpx2.Client:
        """A client of it."""
        sent = {**(account.headers if account else {}), **headers}
        return httpx2.Client(base_url=self.address, headers=sent, timeout=90, trust_env=False)

    def log_text(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def add_account(
        self, scope: KeyScope = KeyScope.admin, *, tenant_id: str | None = None
    ) -> Account:
        """A tenant with a key, or another key of a tenant."""
        name = f"t{secrets.token_hex(4)}"
        making = Making(datetime.now(UTC), draw_id, secrets.token_bytes)
        with engine_work(self.database) as work:
            owner = tenant_id or create_tenant(work, name, making).tenant_id
            made = create_key(work, owner, KeyTerms(name, scope), making)
        return Account(owner, made.key.key_id, made.token)

    def add_upload(self, account: Account, purpose: str = "capture") -> str:
        """An upload that counts as verified."""
        with self.client(account) as client:
            made = client.post("/v1/uploads", json=upload_body(purpose)).json()
        upload_id: str = made["upload_id"]
        with engine_work(self.database) as work:
            change_upload(work, upload_id, {"status": UploadStatus.ready.value})
        return upload_id

    def add_avatar(self, account: Account) -> Mapping[str, Any]:
        """An avatar whose job is queued."""
        capture = self.add_upload(account)
        with self.client(account) as client:
            answer = client.post(
                "/v1/avatars",
                json=avatar_body(capture),
                headers={"Idempotency-Key": f"k{next(_numbers)}"},
            )
        assert answer.status_code == 202, answer.text
        body: Mapping[str, Any] = answer.json()
        return body

    def _is_ready(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
