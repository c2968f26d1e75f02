"""What docs/operations.md and docs/webhooks.md tell operators and receivers is true."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from api.settings import GatewaySettings
from api.webhooks.events import EVENT_TYPES
from api.webhooks.signing import Message, generate_secret, sign
from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.worker_telemetry import GpuCollector, WorkerTelemetry
from tests.architecture.repository import ROOT

_OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
_WEBHOOKS = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
_TABLE = re.compile(r"^\| `(talksplat_\w+)` \| (\w+) \|", re.MULTILINE)


def test_the_table_of_metrics_names_every_series() -> None:
    """By the name that Prometheus shows, with its kind, and none that does not exist."""
    registry = CollectorRegistry()
    GatewayTelemetry(registry)
    WorkerTelemetry(registry)
    registry.register(GpuCollector(list))
    kinds = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
    }

    told = dict(_TABLE.findall(_OPERATIONS))
    assert set(kinds) == set(told)
    assert kinds == {name: kind.replace("state", "gauge") for name, kind in told.items()}


def test_the_settings_of_webhooks_are_documented() -> None:
    """Each in one row."""
    settings = {
        f"TALKSPLAT_{name.upper()}"
        for name in GatewaySettings.model_fields
        if name.startswith("webhook_")
    }

    assert settings == set(re.findall(r"^\| `(TALKSPLAT_WEBHOOK_\w+)`", _OPERATIONS, re.MULTILINE))


def test_the_events_of_webhooks_are_documented() -> None:
    """In their order."""
    assert list(EVENT_TYPES) == re.findall(r"^\| `(job\.\w+)`", _WEBHOOKS, re.MULTILINE)


def test_the_verification_in_python_works() -> None:
    """The function that receivers copy tells genuine messages from others."""
    (code,) = re.findall(r"```python\n(.*?)```", _WEBHOOKS, re.DOTALL)
    space: dict[str, object] = {}
    exec(code, space)  # noqa: S102 - the document's own example
    is_genuine = space["is_genuine"]
    secret, body = generate_secret(bytes), b'{"a":1}'
    headers = sign(Message("msg_1", datetime.now(UTC), body), [generate_secret(_ones), secret])

    assert callable(is_genuine)
    assert [True, False] == [is_genuine(secret, headers, told) for told in (body, body + b" ")]


def test_the_verification_by_hand_works(tmp_path: Path) -> None:
    """The shell command prints the signature."""
    openssl, bash = shutil.which("openssl"), shutil.which("bash")
    if openssl is None or bash is None:
        pytest.skip("needs openssl and bash")
    (command,) = re.findall(r"```bash\n(key=.*?)```", _WEBHOOKS, re.DOTALL)
    secret, body = generate_secret(_ones), b'{"a":1}'
    headers = sign(Message("msg_1", datetime.now(UTC), body), [secret])
    (tmp_path / "body.json").write_bytes(body)
    told = {
        "PATH": "/usr/bin:/bin",
        "SECRET": secret,
        "WEBHOOK_ID": headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": headers["webhook-timestamp"],
    }

    printed = subprocess.run(
        [bash, "-c", command], cwd=tmp_path, env=told, check=True, capture_output=True, text=True
    )

    assert headers["webhook-signature"] == f"v1,{printed.stdout.strip()}"


def _ones(n_bytes: int) -> bytes:
    return b"\x01" * n_bytes
