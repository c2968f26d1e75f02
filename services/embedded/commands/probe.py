"""``talksplat probe``: asks a running platform whether it is well, from outside."""

import hashlib
import io
import json
import secrets
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer
import urllib3

from shared.errors import InvalidInput, Unavailable

Check = Literal["right-key", "wrong-key", "tiny-job"]
Answer = dict[str, Any]
_SECONDS = 30.0
_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _UNAUTHORIZED = 200, 201, 202, 204, 401


def probe(
    check: Annotated[Check, typer.Argument(help="What is asked.")],
    address: Annotated[
        str,
        typer.Option(envvar="TALKSPLAT_PROBE_ADDRESS", help="The gateway's, as http://host:port."),
    ],
    key: Annotated[str, typer.Option(envvar="TALKSPLAT_PROBE_KEY", help="An API key of a tenant.")],
    patience: Annotated[float, typer.Option(min=1, help="Seconds that a job may take.")] = 240.0,
) -> None:
    """Check a running platform over HTTP: helm test does so after an installation.

    \b
    right-key   the key is let in
    wrong-key   another one is not
    tiny-job    a second of sound goes to the store and through a worker
    """
    gateway = _Gateway(address.rstrip("/"), key)
    match check:
        case "right-key":
            gateway.ask("GET", "/v1/jobs", _OK)
        case "wrong-key":
            _Gateway(gateway.address, f"ts_{secrets.token_hex(20)}").ask(
                "GET", "/v1/jobs", _UNAUTHORIZED
            )
        case "tiny-job":
            _run_tiny_job(gateway, patience)


class _Gateway:
    """One address and one key."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self._key = key

    def ask(self, method: str, path: str, expected: int, body: Answer | None = None) -> Answer:
        """The answer to one request, which must have the expected status."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }
        data = None if body is None else json.dumps(body).encode()
        with _http_errors(self.address):
            answer = urllib3.request(
                method,
                self.address + path,
                body=data,
                headers=headers,
                timeout=_SECONDS,
                retries=False,
            )
        if answer.status != expected:
            raise InvalidInput(
                "probe_failed",
                f"{method} {path}: expected {expected}, got {answer.status}: {answer.data[:500]!r}",
            )
        said: Answer = json.loads(answer.data)
        return said


def _run_tiny_job(gateway: _Gateway, patience: float) -> None:
    """Upload a second of silence; to verify it is a job of one stage."""
    data = _second_of_silence()
    asked = {
        "file_name": "probe.wav",
        "content_type": "audio/wav",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "purpose": "speech",
    }
    made = gateway.ask("POST", "/v1/uploads", _CREATED, asked)
    form = made["form"]
    fields = {**form["fields"], "file": ("probe.wav", data, "audio/wav")}
    with _http_errors(form["url"]):
        sent = urllib3.request("POST", form["url"], fields=fields, timeout=_SECONDS, retries=False)
    if sent.status not in {_CREATED, _NO_CONTENT}:
        raise InvalidInput(
            "probe_failed", f"the store refused the upload with {sent.status}: {sent.data[:500]!r}"
        )
    path = f"/v1/uploads/{made['upload_id']}"
    gateway.ask("POST", f"{path}/complete", _ACCEPTED)
    until = time.monotonic() + patience
    while (seen := gateway.ask("GET", path, _OK))["status"] not in {"ready", "rejected"}:
        if time.monotonic() > until:
            raise Unavailable(
                "probe_timeout", f"no worker has verified the upload within {patience:.0f} s"
            )
        time.sleep(0.5)
    if seen["status"] != "ready":
        raise InvalidInput("probe_failed", f"the upload was not found good: {seen}")


def _second_of_silence() -> bytes:
    """A WAV file of 16 kHz, one channel, 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(32_000))
    return file.getvalue()


@contextmanager
def _http_errors(address: str) -> Iterator[None]:
    """Raises ``Unavailable`` (``probe_unanswered``) where nobody answers."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("probe_unanswered", f"{address} does not answer: {error}") from error
