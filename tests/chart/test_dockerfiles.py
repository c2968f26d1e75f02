"""Dockerfiles through hadolint."""

from tests.architecture.repository import ROOT
from tests.chart.rendering import run_tool, tool


def test_hadolint_finds_nothing_to_blame() -> None:
    """With what .hadolint.yaml excuses, and why."""
    files = sorted([*ROOT.glob("services/*/Dockerfile"), ROOT / "api" / "Dockerfile"])

    done = run_tool(tool("hadolint"), *map(str, files))

    assert 6 == len(files)
    assert 0 == done.returncode, done.stdout
