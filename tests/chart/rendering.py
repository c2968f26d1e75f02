"""Renders the chart and finds things in what comes out."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.architecture.repository import ROOT

CHART = ROOT / "deploy" / "helm" / "talksplat"
SCENARIOS = tuple(
    path.name.removesuffix("-values.yaml") for path in sorted(CHART.glob("ci/*-values.yaml"))
)
RELEASE, NAMESPACE = "demo", "avatars"
FULLNAME = "demo-talksplat"
KUBERNETES = "1.32"
Manifest = dict[str, Any]


class Container(NamedTuple):
    """A container with the pod that it is in."""

    owner: str
    """Kind and name of the object."""
    pod: Manifest
    """Spec of the pod."""
    spec: Manifest


def tools_folder() -> Path:
    """Where ``make chart`` puts helm and the others."""
    return Path(os.environ.get("TALKSPLAT_TOOLS_DIR", ROOT / ".tools"))


def tool(name: str) -> str:
    """Path of one of the tools."""
    return str(tools_folder() / "python" / "bin" / name)


def run_tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what it said, however it ended."""
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def values_of(scenario: str) -> str:
    """Path of a scenario's values."""
    return str(CHART / "ci" / f"{scenario}-values.yaml")


def template(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """``helm template`` with further arguments."""
    command = (tool("helm"), "template", RELEASE, str(CHART), "--namespace", NAMESPACE)
    return run_tool(*command, *arguments)


def render(arguments: Sequence[str]) -> list[Manifest]:
    """Objects that the chart makes with these values."""
    done = template(arguments)
    assert 0 == done.returncode, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def name_of(manifest: Manifest) -> str:
    """Kind and name."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def find(manifests: Sequence[Manifest], kind: str, component: str = "") -> Manifest:
    """The one object of a kind whose name ends with a component."""
    suffix = f"{FULLNAME}-{component}" if component else ""
    (found,) = (
        each
        for each in manifests
        if each["kind"] == kind and (not suffix or each["metadata"]["name"] == suffix)
    )
    return found


def pod_template(manifest: Manifest) -> Manifest | None:
    """Metadata and spec of an object's pods."""
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            found: Manifest = spec["template"]
        case "ScaledJob":
            found = spec["jobTargetRef"]["template"]
        case "Pod":
            found = manifest
        case _:
            return None
    return found


def pods(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name of the object, and its template of pods."""
    for manifest in manifests:
        found = pod_template(manifest)
        if found is not None:
            yield name_of(manifest), found


def containers(manifests: Sequence[Manifest]) -> Iterator[Container]:
    """All containers, those that only begin included."""
    for owner, pod in pods(manifests):
        spec = pod["spec"]
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            yield Container(owner, spec, container)
