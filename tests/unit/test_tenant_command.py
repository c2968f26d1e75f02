"""Operators make tenants and keys from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.db.migrate import migrate_database
from services.embedded.cli import FAILED, run_command

Tell = Callable[..., Any]


@pytest.fixture
def tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tell:
    """``talksplat tenant …`` on a new database; what it printed as JSON."""
    url = f"sqlite:///{tmp_path / 'talksplat.db'}"
    migrate_database(url)
    monkeypatch.setenv("TALKSPLAT_DATABASE_URL", url)

    def tell(*words: str) -> Any:  # noqa: ANN401 - any JSON value
        assert run_command(["tenant", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return tell


def test_a_tenant_begins_with_a_key(tell: Tell) -> None:
    """Of the scope that was asked for; the key is shown then and never again."""
    made = tell("create", "acme", "--scope", "operator", "--weight", "2")
    (tenant,) = tell("list")
    (key,) = tell("keys", made["tenant_id"])

    assert made["api_key"].startswith("ts_")
    assert ("acme", "2", "active") == (tenant["name"], tenant["weight"], tenant["state"])
    assert (made["key_id"], "operator", "active") == (key["key_id"], key["scope"], key["state"])
    assert "api_key" not in key


def test_keys_are_added_rotated_and_revoked(tell: Tell) -> None:
    """A rotated key ends after the overlap, a revoked one at once."""
    tenant = tell("create", "acme")["tenant_id"]
    added = tell("key", tenant, "--name", "ci", "--days", "30")
    rotated = tell("rotate", tenant, added["key_id"], "--overlap-hours", "0")
    run_command(["tenant", "revoke", tenant, rotated["key_id"]])
    states = {key["key_id"]: key["state"] for key in tell("keys", tenant)}

    assert ("over", "revoked") == (states[added["key_id"]], states[rotated["key_id"]])
    assert 3 == len(states)


def test_quotas_are_changed_and_shown(tell: Tell) -> None:
    """In units that people think in; a tenant may be disabled and enabled again."""
    tenant = tell("create", "acme")["tenant_id"]
    quotas = ["--max-running-jobs", "50", "--max-stored-gb", "2.5", "--max-compute-hours", "3"]
    codes = [
        run_command(["tenant", "change", tenant, *words])
        for words in ([*quotas, "--weight", "3", "--disable"], ["--enable"], ["--disable"])
    ]
    shown = tell("show", tenant)

    assert [0, 0, 0] == codes
    assert ("disabled", 3.0, 50) == (shown["state"], shown["weight"], shown["max_running_jobs"])
    assert (2_500_000_000, 10_800) == (shown["max_stored_bytes"], shown["max_compute_seconds"])
    assert (0, 0) == (shown["open_jobs"], shown["month_compute_seconds"])


@pytest.mark.parametrize(
    "words",
    [
        ["show", "ten_unknown"],
        ["change", "ten_unknown", "--weight", "2"],
        ["change", "ten_unknown"],
        ["create", "acme", "--scope", "god"],
        ["key", "ten_unknown"],
        ["revoke", "ten_unknown", "key_unknown"],
    ],
)
def test_what_cannot_be_done_is_refused(tell: Tell, words: list[str]) -> None:
    """With a code, and nothing is made."""
    code = run_command(["tenant", *words])

    assert code == FAILED
    assert [] == tell("list")
