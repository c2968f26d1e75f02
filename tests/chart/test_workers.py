"""How workers are run: one template for all, attempts as jobs, warm pools, and time to leave."""

from typing import Any

import pytest

from shared.messaging.routes import CONSUMER_TIMEOUT_MS, SERVICES
from shared.settings import read_settings
from tests.architecture.repository import ROOT
from tests.chart.rendering import Manifest, containers, find, pod_template, pods

JOBS = ("preprocess", "trainer")
POOLS = ("audio2motion", "evaluator", "renderer")
_SCALED_JOB = {
    *("pollingInterval", "minReplicaCount", "maxReplicaCount", "rollout", "scalingStrategy"),
    *("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "jobTargetRef", "triggers"),
}
_SCALED_OBJECT = {
    *("scaleTargetRef", "pollingInterval", "cooldownPeriod", "minReplicaCount"),
    *("maxReplicaCount", "fallback", "advanced", "triggers"),
}
"""Fields of KEDA's resources; their schemas let unknown ones pass."""


@pytest.fixture
def keda(all_manifests: dict[str, list[Manifest]]) -> list[Manifest]:
    """With KEDA and GPUs."""
    return all_manifests["gpu-keda"]


def _worker(manifest: Manifest) -> dict[str, Any]:
    template = pod_template(manifest)
    assert template is not None
    container: dict[str, Any] = template["spec"]["containers"][0]
    return container


def _variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env", [])}


@pytest.mark.parametrize("service", JOBS)
def test_long_stages_are_jobs_of_one_attempt(keda: list[Manifest], service: str) -> None:
    """Which an upgrade lets run to their end, and which Kubernetes does not repeat."""
    spec = find(keda, "ScaledJob", service)["spec"]
    container = _worker(find(keda, "ScaledJob", service))

    assert set(spec) <= _SCALED_JOB
    assert "gradual" == spec["rollout"]["strategy"]
    assert 0 == spec["jobTargetRef"]["backoffLimit"]
    assert "Never" == spec["jobTargetRef"]["template"]["spec"]["restartPolicy"]
    assert ["talksplat", "worker", service] == container["command"]
    assert "--one" in container["args"]


@pytest.mark.parametrize("service", POOLS)
def test_interactive_services_keep_a_warm_pool(keda: list[Manifest], service: str) -> None:
    """Of one at least, which shrinks slowly; KEDA alone says how many."""
    spec = find(keda, "ScaledObject", service)["spec"]
    deployment = find(keda, "Deployment", service)

    assert set(spec) <= _SCALED_OBJECT
    assert deployment["metadata"]["name"] == spec["scaleTargetRef"]["name"]
    assert spec["minReplicaCount"] >= 1
    assert spec["fallback"]["replicas"] >= 1
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300
    assert "replicas" not in deployment["spec"]
    assert "--one" not in _worker(deployment)["args"]


def test_scaling_reads_the_gateway_s_demand(keda: list[Manifest]) -> None:
    """Not the queues' depths: one pod for each stage that is ready or under way."""
    triggers = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["triggers"]
        for each in keda
        if each["kind"] in {"ScaledJob", "ScaledObject"}
    }
    port = find(keda, "Service", "gateway")["spec"]["ports"][0]["port"]
    url = f"http://demo-talksplat-gateway.avatars.svc:{port}/metrics"

    assert set(SERVICES) == set(triggers)
    for service, (trigger,) in triggers.items():
        assert "metrics-api" == trigger["type"]
        assert {
            "url": url,
            "format": "prometheus",
            "valueLocation": f'talksplat_demand{{service="{service}"}}',
            "targetValue": "1",
        } == trigger["metadata"]


def test_without_keda_workers_are_plain_deployments(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    """A number of replicas each, and nothing of KEDA."""
    for name in ("external", "locked-down", "trial"):
        found = all_manifests[name]

        assert not [each for each in found if each["apiVersion"].startswith("keda.sh")]
        for service in SERVICES:
            assert 1 == find(found, "Deployment", service)["spec"]["replicas"]


def test_gpus_are_asked_for_by_the_workers_that_use_them(keda: list[Manifest]) -> None:
    """With the CUDA image, on nodes that have one."""
    found = {}
    for owner, pod, container in containers(keda):
        if "nvidia.com/gpu" in container["resources"]["limits"]:
            assert container["image"].endswith("-cuda"), owner
            assert pod["nodeSelector"], owner
            assert pod["tolerations"], owner
            found[owner] = pod["runtimeClassName"]

    names = ("ScaledJob/demo-talksplat-trainer", "Deployment/demo-talksplat-renderer")
    assert dict.fromkeys(names, "nvidia") == found


def test_a_worker_has_time_to_hand_its_stage_back(manifests: list[Manifest]) -> None:
    """The kill comes later than the end of its own grace."""
    for owner, pod, container in containers(manifests):
        variables = _variables(container)
        if "TALKSPLAT_WORKER_GRACE_SECONDS" in variables:
            grace = float(variables["TALKSPLAT_WORKER_GRACE_SECONDS"])

            assert pod["terminationGracePeriodSeconds"] >= grace + 30, owner


def test_the_gateway_has_time_to_end(manifests: list[Manifest]) -> None:
    """Streams take ten seconds at most and the engine fifteen, after five of waiting."""
    template = pod_template(find(manifests, "Deployment", "gateway"))
    assert template is not None

    assert template["spec"]["terminationGracePeriodSeconds"] >= 5 + 10 + 15


def test_workers_write_into_volumes_only(manifests: list[Manifest]) -> None:
    """Their folder, compiled code and temporary files are emptyDirs."""
    for owner, pod, container in containers(manifests):
        variables = _variables(container)
        if "TALKSPLAT_WORK_DIR" not in variables:
            continue
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        empty = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
        for variable in ("TALKSPLAT_WORK_DIR", "NUMBA_CACHE_DIR", "HOME"):
            assert mounts[variables[variable]] in empty, (owner, variable)


def test_workers_know_neither_the_database_nor_its_secret(manifests: list[Manifest]) -> None:
    """Nobody but the gateway and its migrations does."""
    allowed = {"gateway", "migration", "postgres"}
    for owner, pod in pods(manifests):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        if component not in allowed:
            assert "DATABASE" not in str(pod["spec"]), owner
            assert "-database" not in str(pod["spec"]), owner


def test_settings_are_known_to_the_product(manifests: list[Manifest]) -> None:
    """What the chart sets is what the processes read."""
    for owner, _pod, container in containers(manifests):
        variables = _variables(container)
        read = read_settings({name: value for name, value in variables.items() if value})
        if "TALKSPLAT_METRICS_PORT" in variables:
            (port,) = container["ports"]

            assert port["containerPort"] == read.metrics_port, owner


def test_rabbitmq_lets_a_worker_hold_a_command_for_a_day(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    """In the trial and with Compose, as the queues' own argument says."""
    line = f"consumer_timeout = {CONSUMER_TIMEOUT_MS}"
    config = find(all_manifests["trial"], "ConfigMap", "rabbitmq")["data"]

    assert line in config["20-talksplat.conf"]
    assert line in (ROOT / "deploy/rabbitmq/20-talksplat.conf").read_text("utf-8")


def test_pods_are_spread_and_disrupted_one_by_one(manifests: list[Manifest]) -> None:
    """Over nodes; a budget cannot count pods of Jobs, which say themselves that they must stay."""
    for owner, pod in pods(manifests):
        if not owner.startswith(("Deployment", "ScaledJob")):
            continue
        labels, component = pod["metadata"]["labels"], owner.rpartition("-")[2]
        (spread,) = pod["spec"]["topologySpreadConstraints"]

        assert spread["labelSelector"]["matchLabels"].items() <= labels.items(), owner
        if owner.startswith("ScaledJob"):
            assert "true" == pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"], owner
        else:
            budget = find(manifests, "PodDisruptionBudget", component)["spec"]

            assert 1 == budget["maxUnavailable"], owner
            assert spread["labelSelector"] == budget["selector"], owner
    budgets = [each for each in manifests if each["kind"] == "PodDisruptionBudget"]
    deployments = [each for each in manifests if each["kind"] == "Deployment"]
    assert len(deployments) == len(budgets)
