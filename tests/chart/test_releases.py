"""Installing, upgrading and testing a release."""

from pathlib import Path

import pytest
import yaml

from shared.messaging.routes import SERVICES
from tests.chart.rendering import CHART, Manifest, containers, find, pod_template

CHECKS = ("right-key", "wrong-key", "tiny-job")


def _hook(manifest: Manifest) -> str:
    hook: str = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return hook


@pytest.mark.parametrize("name", ["external", "gpu-keda", "locked-down"])
def test_migrations_come_before_the_gateway(
    all_manifests: dict[str, list[Manifest]], name: str
) -> None:
    """As a hook, with the owner's login, which nobody else gets."""
    job = find(all_manifests[name], "Job", "migration")
    told = [
        owner
        for owner, _pod, container in containers(all_manifests[name])
        if "TALKSPLAT_MIGRATION_DATABASE_URL" in str(container)
    ]

    assert "pre-install,pre-upgrade" == _hook(job)
    assert ["Job/demo-talksplat-migration"] == told


def test_a_trial_migrates_beside_its_database(all_manifests: dict[str, list[Manifest]]) -> None:
    """A hook would wait for a database that comes after it; each revision has a job of its own."""
    job = find(all_manifests["trial"], "Job", "migration-1")

    assert "" == _hook(job)
    assert job["spec"]["backoffLimit"] >= 5


def test_helm_test_asks_what_users_ask(all_manifests: dict[str, list[Manifest]]) -> None:
    """The right key works, a wrong one is refused, a tiny job succeeds."""
    for check in CHECKS:
        pod = find(all_manifests["external"], "Pod", f"test-{check}")
        template = pod_template(pod)
        assert template is not None

        assert "test" == _hook(pod)
        assert ["talksplat", "probe", check] == template["spec"]["containers"][0]["command"]


def test_prometheus_reads_gateway_and_workers(all_manifests: dict[str, list[Manifest]]) -> None:
    """By labels that their pods and Service have, at ports of those names."""
    manifests = all_manifests["external"]
    service = find(manifests, "Service", "gateway")
    gateway = find(manifests, "ServiceMonitor")["spec"]
    workers = find(manifests, "PodMonitor")["spec"]

    assert gateway["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert gateway["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    for name in SERVICES:
        template = pod_template(find(manifests, "Deployment", name))
        assert template is not None
        labels = template["metadata"]["labels"]

        assert workers["selector"]["matchLabels"].items() <= labels.items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert workers["podMetricsEndpoints"][0]["port"] in ports


def test_rules_and_dashboards_come_as_they_are(all_manifests: dict[str, list[Manifest]]) -> None:
    """Each file of the chart is one object with exactly its content."""
    manifests = all_manifests["external"]
    rules = [each["spec"] for each in manifests if each["kind"] == "PrometheusRule"]
    boards = {
        name: text
        for each in manifests
        if each["kind"] == "ConfigMap" and "-dashboard-" in each["metadata"]["name"]
        for name, text in each["data"].items()
    }

    assert [yaml.safe_load(_text(path)) for path in sorted(CHART.glob("rules/*.yaml"))] == rules
    expected = {path.name: _text(path).strip() for path in CHART.glob("dashboards/*.json")}
    assert expected == {name: text.strip() for name, text in boards.items()}


def test_the_trial_s_processes_find_its_servers(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    """URLs name the Services that there are, with the passwords that the servers get."""
    manifests = all_manifests["trial"]
    secrets = {
        each["metadata"]["name"]: each["stringData"]
        for each in manifests
        if each["kind"] == "Secret"
    }
    services = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}
    own = secrets["demo-talksplat-trial"]
    database = secrets["demo-talksplat-trial-database"]

    assert {f"demo-talksplat-{name}" for name in ("postgres", "rabbitmq", "seaweedfs")} <= services
    assert f"owner:{own['ownerPassword']}@demo-talksplat-postgres:5432" in database["migrationUrl"]
    assert f":{own['gatewayPassword']}@demo-talksplat-postgres:5432" in database["url"]
    broker = secrets["demo-talksplat-trial-broker"]["url"]
    assert f":{own['brokerPassword']}@demo-talksplat-rabbitmq:5672" in broker
    store = secrets["demo-talksplat-trial-store"]["url"]
    assert f"{own['accessKey']}:{own['secretKey']}@demo-talksplat-seaweedfs:8333" in store
    assert own["secretKey"] in own["s3.json"]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
