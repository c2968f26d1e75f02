"""What is stored stays readable, and its schema is written down."""

import json
from pathlib import Path

import pytest

from shared.contracts.json_schemas import FOLDER, MANIFESTS, schema_text
from tests.architecture.repository import ROOT

GOLDEN = sorted((ROOT / "tests" / "data" / "manifests").glob("*.json"))
"""Manifests as released versions wrote them; a file here is never edited."""


@pytest.mark.parametrize("kind", sorted(MANIFESTS))
def test_the_committed_schema_is_the_model_s(kind: str) -> None:
    """After a change: make schemas, and raise schema_version."""
    committed = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")

    assert schema_text(MANIFESTS[kind]) == committed


def test_every_kind_has_a_golden_manifest_of_its_present_version() -> None:
    """So that no version is released without one."""
    found = {path.stem for path in GOLDEN}

    for kind, manifest in MANIFESTS.items():
        assert f"{kind}_v{manifest.model_fields['schema_version'].default}" in found


def _restricted(written: object, stored: object) -> object:
    """``written`` without the members, at any depth, that later versions have added."""
    if isinstance(written, dict) and isinstance(stored, dict):
        return {name: _restricted(written[name], stored[name]) for name in stored}
    return written


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_a_golden_manifest_is_read_and_written_back(path: Path) -> None:
    """Nothing of it is lost."""
    stored = json.loads(path.read_text(encoding="utf-8"))

    manifest = MANIFESTS[stored["kind"]].model_validate(stored)

    assert stored == _restricted(manifest.model_dump(mode="json"), stored)


@pytest.mark.parametrize("kind", sorted(MANIFESTS))
def test_every_field_is_described(kind: str) -> None:
    """The schema is what people outside read."""
    properties = json.loads(schema_text(MANIFESTS[kind]))["properties"]

    undescribed = {name for name, said in properties.items() if "description" not in said}
    assert {"kind"} >= undescribed
