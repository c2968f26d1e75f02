"""What no object of the chart may be or hold, in any scenario."""

import re
from typing import Any

from tests.chart.rendering import Manifest, containers, name_of, pods

_SECRET = re.compile(r"(password|secret|token|api_?key|://[^/\s]*:[^/\s]*@)", re.IGNORECASE)


def test_nobody_is_root(manifests: list[Manifest]) -> None:
    """Kubernetes' profile "restricted", pod by pod."""
    for owner, pod in pods(manifests):
        security = pod["spec"]["securityContext"]

        assert security["runAsNonRoot"], owner
        assert security["runAsUser"] > 0, owner
        assert "RuntimeDefault" == security["seccompProfile"]["type"], owner
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys(), owner
        assert all("hostPath" not in volume for volume in pod["spec"].get("volumes", [])), owner


def test_no_container_can_become_more(manifests: list[Manifest]) -> None:
    """Nor write outside its volumes."""
    for owner, _pod, container in containers(manifests):
        security = container["securityContext"]

        assert security["allowPrivilegeEscalation"] is False, owner
        assert security["readOnlyRootFilesystem"] is True, owner
        assert {"drop": ["ALL"]} == security["capabilities"], owner


def test_no_pod_has_a_token_of_the_cluster(manifests: list[Manifest]) -> None:
    """Nothing of ours talks to Kubernetes."""
    for owner, pod in pods(manifests):
        assert pod["spec"]["automountServiceAccountToken"] is False, owner


def test_images_have_a_version(manifests: list[Manifest]) -> None:
    """A tag that is not latest, or a digest."""
    for owner, _pod, container in containers(manifests):
        name = container["image"].partition("@")[0].rpartition("/")[2]

        assert name.partition(":")[2] not in {"", "latest"}, (owner, container["image"])


def test_everything_is_limited(manifests: list[Manifest]) -> None:
    """CPU and memory are asked for and limited, and emptyDirs have a size."""
    for owner, pod, container in containers(manifests):
        for what in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][what].keys(), (owner, what)
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"], (owner, volume["name"])


def test_what_runs_on_is_probed(manifests: list[Manifest]) -> None:
    """All three probes; what ends by itself has a deadline or is one attempt of a worker."""
    for owner, _pod, container in containers(manifests):
        if owner.startswith(("Deployment", "StatefulSet", "ScaledJob")):
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), owner
    for manifest in manifests:
        if manifest["kind"] in {"Job", "Pod"}:
            assert manifest["spec"]["activeDeadlineSeconds"] > 0, name_of(manifest)


def test_config_maps_hold_no_secrets(manifests: list[Manifest]) -> None:
    """Nor does the environment, where it is written out."""
    for manifest in manifests:
        if manifest["kind"] == "ConfigMap" and "dashboard" not in manifest["metadata"]["name"]:
            assert not _SECRET.search(str(manifest["data"])), name_of(manifest)
    for owner, _pod, container in containers(manifests):
        for variable in container.get("env", []):
            if "value" in variable:
                assert not _SECRET.search(f"{variable['name']}={variable['value']}"), owner


def test_labels_name_no_tenant(manifests: list[Manifest]) -> None:
    """Nor a job; and selectors do not change with the version."""
    for manifest in manifests:
        for key, value in _pairs(manifest, "labels"):
            assert "tenant" not in f"{key}{value}", name_of(manifest)
        for key, _value in _pairs(manifest, "matchLabels"):
            assert key not in {"helm.sh/chart", "app.kubernetes.io/version"}, name_of(manifest)


def test_everything_stands_in_the_release_s_namespace(manifests: list[Manifest]) -> None:
    """So that ``kubectl apply`` of what was rendered puts it there too."""
    for manifest in manifests:
        assert "avatars" == manifest["metadata"]["namespace"], name_of(manifest)
        assert "demo" == manifest["metadata"]["labels"]["app.kubernetes.io/instance"]


def _pairs(found: Any, field: str) -> list[tuple[str, Any]]:  # noqa: ANN401 - parsed YAML
    """Keys and values of every mapping called ``field``."""
    if isinstance(found, list):
        return [pair for each in found for pair in _pairs(each, field)]
    if not isinstance(found, dict):
        return []
    inside = [pair for each in found.values() for pair in _pairs(each, field)]
    own = found.get(field)
    return [*inside, *(own.items() if isinstance(own, dict) else [])]
