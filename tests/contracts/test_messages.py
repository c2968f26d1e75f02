"""Commands and events: what is refused, and that what was once sent is still understood."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.contracts.command import COMMAND, RunStage
from shared.contracts.event import EVENT
from shared.contracts.json_schemas import FOLDER, MESSAGES, message_schema_text
from shared.contracts.store_key import is_store_key, is_store_prefix
from tests.architecture.repository import ROOT

GOLDEN = sorted((ROOT / "tests" / "data" / "messages").glob("*.json"))
"""Messages as released versions sent them; a file here is never edited."""
RUN_STAGE = ROOT / "tests" / "data" / "messages" / "run_stage_v1.json"


def _adapter(path: Path) -> TypeAdapter[object]:
    is_command = path.stem.startswith(("run_stage", "cancel_stage"))
    adapter: TypeAdapter[object] = COMMAND if is_command else EVENT  # type: ignore[assignment]
    return adapter


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_the_committed_schema_is_the_message_s(name: str) -> None:
    """After a change: make schemas, and raise schema_version."""
    committed = (FOLDER / f"{name}.json").read_text(encoding="utf-8")

    assert message_schema_text(name) == committed


def test_every_message_has_a_golden_one() -> None:
    """So that no version is released without one."""
    defined = {
        name
        for text in map(message_schema_text, MESSAGES)
        for name in json.loads(text)["discriminator"]["mapping"]
    }

    assert {f"{name}_v1" for name in defined} == {path.stem for path in GOLDEN}


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_a_golden_message_is_read_and_written_back(path: Path) -> None:
    """Nothing of it is lost."""
    sent = json.loads(path.read_text(encoding="utf-8"))

    message = _adapter(path).validate_python(sent)

    assert sent == _adapter(path).dump_python(message, mode="json")


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 0},
        {"attempt": 10**9},
        {"entry": "os.system;"},
        {"entry": "train"},
        {"inputs": {"../capture": "tenants/a/uploads/b"}},
        {"inputs": {"capture": "/etc/passwd"}},
        {"inputs": {"capture": "tenants/../other"}},
        {"job_id": "a/b"},
        {"lease_seconds": 0},
        {"lease_seconds": float("inf")},
        {"output_prefix": "tenants/a/jobs"},
        {"schema_version": 2},
        {"service": ""},
        {"surprise": 1},
        {"tenant_id": "a\x00"},
        {"traceparent": "00-zz"},
    ],
)
def test_a_malformed_command_is_refused(change: dict[str, object]) -> None:
    """No path leads out of a folder, no number is absurd, no field is unknown."""
    sent = json.loads(RUN_STAGE.read_text(encoding="utf-8"))

    with pytest.raises(ValidationError):
        RunStage.model_validate({**sent, **change})


@pytest.mark.parametrize("key", ["a", "a/b.c", "a-b_c/.d", "tenants/t/uploads/..x", "x" * 200])
def test_a_relative_path_is_a_key(key: str) -> None:
    """Letters, digits, dots, dashes, underscores."""
    assert is_store_key(key)
    assert is_store_prefix(key + "/")


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "...", "a\n", "a\x00b",
        "a b", "ä", "a\\b", "a%2fb", "x" * 202, "/".join(["a" * 100] * 6),
    ],
)  # fmt: skip
def test_anything_else_is_none(key: str) -> None:
    """Traversal, control characters, other alphabets, endless names."""
    assert not is_store_key(key)
