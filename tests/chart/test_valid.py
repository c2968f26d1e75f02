"""Every scenario is accepted by helm, and what it makes by Kubernetes' and operators' schemas."""

from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import (
    CHART,
    KUBERNETES,
    SCENARIOS,
    Manifest,
    run_tool,
    template,
    tool,
    tools_folder,
    values_of,
)


@pytest.fixture
def rendered(scenario: str, manifests: list[Manifest], tmp_path: Path) -> Path:
    """A file with all objects of a scenario."""
    path = tmp_path / f"{scenario}.yaml"
    path.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    return path


def test_the_scenarios_are_those_that_are_promised() -> None:
    """A trial, servers from outside, GPUs with KEDA, and one that is locked down."""
    assert ("external", "gpu-keda", "locked-down", "trial") == SCENARIOS


def test_helm_finds_nothing_to_blame(scenario: str) -> None:
    """Warnings count."""
    done = run_tool(tool("helm"), "lint", "--strict", str(CHART), "--values", values_of(scenario))

    assert 0 == done.returncode, done.stdout + done.stderr


def test_kubernetes_knows_every_field(rendered: Path) -> None:
    """Fields that do not exist are refused."""
    command = (tool("kubernetes-validate"), "--strict", "-k", KUBERNETES, str(rendered))
    done = run_tool(*command)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_misspelt_field_would_be_found(rendered: Path) -> None:
    """The check itself works."""
    text = rendered.read_text("utf-8").replace("imagePullPolicy", "imagePulPolicy")
    rendered.write_text(text, encoding="utf-8")
    command = (tool("kubernetes-validate"), "--strict", "-k", KUBERNETES, str(rendered))

    assert 0 != run_tool(*command).returncode


def test_operators_know_their_resources(rendered: Path) -> None:
    """KEDA's and the Prometheus operator's definitions."""
    script = str(tools_folder() / "node" / "custom_resources.mjs")
    done = run_tool("node", script, str(rendered))

    assert 0 == done.returncode, done.stdout + done.stderr


def test_rendering_twice_gives_the_same(scenario: str) -> None:
    """But for the trial's passwords, which are drawn where the cluster has none."""
    if scenario == "trial":
        return
    first, second = (template(["--values", values_of(scenario)]).stdout for _ in range(2))

    assert first == second
