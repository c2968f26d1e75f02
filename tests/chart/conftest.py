"""The chart rendered once for each scenario of its ``ci/`` folder."""

import os

import pytest

from tests.chart.rendering import SCENARIOS, Manifest, render, tools_folder, values_of


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """Skips where the tools are missing, and fails in CI."""
    if (tools_folder() / "ready").is_file():
        return
    say = "helm and the others are missing: run make chart"
    if os.environ.get("CI") == "true":
        pytest.fail(say)
    pytest.skip(say)


@pytest.fixture(scope="session")
def all_manifests(tools: None) -> dict[str, list[Manifest]]:
    """Objects by scenario."""
    assert tools is None
    return {name: render(["--values", values_of(name)]) for name in SCENARIOS}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> str:
    """Each in turn."""
    name: str = request.param
    return name


@pytest.fixture
def manifests(scenario: str, all_manifests: dict[str, list[Manifest]]) -> list[Manifest]:
    """Objects of one scenario."""
    return all_manifests[scenario]
