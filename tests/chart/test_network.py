"""Who may reach whom: nothing that is not listed here."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.messaging.routes import SERVICES
from tests.chart.rendering import Manifest, pods

EXTERNAL = {
    "gateway": {"dns", 5432, 5671, 443, "internet:443", "internet:8443"},
    "migration": {"dns", 5432},
    "test": {"dns", "gateway:8000", 443},
    **{service: {"dns", 5671, 443} for service in SERVICES},
}
TRIAL = {
    "gateway": {
        *("dns", "postgres:5432", "rabbitmq:5672", "seaweedfs:8333"),
        *("internet:443", "internet:8443"),
    },
    "migration": {"dns", "postgres:5432"},
    "test": {"dns", "gateway:8000", "seaweedfs:8333"},
    **{service: {"dns", "rabbitmq:5672", "seaweedfs:8333"} for service in SERVICES},
    **{server: set[Any]() for server in ("postgres", "rabbitmq", "seaweedfs")},
}
"""Where pods of each kind may go: a port anywhere, a kind of pod and its port, the internet."""


def _policies(manifests: Sequence[Manifest], labels: dict[str, str]) -> list[Manifest]:
    """Specs of the policies that select pods with these labels."""
    return [
        each["spec"]
        for each in manifests
        if each["kind"] == "NetworkPolicy"
        and each["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ]


def _labels_by_component(manifests: Sequence[Manifest]) -> dict[str, dict[str, str]]:
    found = (pod["metadata"]["labels"] for _owner, pod in pods(manifests))
    return {labels["app.kubernetes.io/component"]: labels for labels in found}


def _ways_out(policies: Sequence[Manifest]) -> set[Any]:
    found: set[Any] = set()
    for policy in policies:
        for rule in policy.get("egress", []):
            ports = [port["port"] for port in rule["ports"]]
            if ports == [53, 53]:
                found.add("dns")
                continue
            for peer in rule.get("to", [None]):
                where = _where(peer)
                found |= {f"{where}:{port}" if where else port for port in ports}
    return found


def _where(peer: dict[str, Any] | None) -> str:
    if peer is None:
        return ""
    if "ipBlock" in peer:
        cidr: str = peer["ipBlock"]["cidr"]
        return "internet" if cidr == "0.0.0.0/0" else cidr
    component: str = peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
    return component


def test_every_pod_is_cut_off_but_for_what_is_allowed(manifests: list[Manifest]) -> None:
    """A policy that denies both ways selects each of them."""
    for labels in _labels_by_component(manifests).values():
        closed = [
            policy
            for policy in _policies(manifests, labels)
            if policy["policyTypes"] == ["Ingress", "Egress"]
            and "ingress" not in policy
            and "egress" not in policy
        ]

        assert closed, labels


@pytest.mark.parametrize(
    ("name", "expected"), [("external", EXTERNAL), ("gpu-keda", EXTERNAL), ("trial", TRIAL)]
)
def test_nothing_goes_out_but_over_these_edges(
    all_manifests: dict[str, list[Manifest]], name: str, expected: dict[str, set[Any]]
) -> None:
    """Only the gateway, which sends webhooks, reaches the internet."""
    found = {
        component: _ways_out(_policies(all_manifests[name], labels))
        for component, labels in _labels_by_component(all_manifests[name]).items()
    }

    assert expected == found


def test_the_internet_has_no_private_networks(all_manifests: dict[str, list[Manifest]]) -> None:
    """What webhooks may reach leaves the cluster out."""
    labels = _labels_by_component(all_manifests["external"])["gateway"]
    blocks = [
        peer["ipBlock"]
        for policy in _policies(all_manifests["external"], labels)
        for rule in policy.get("egress", [])
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]

    private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}
    assert [True] == [private <= set(block["except"]) for block in blocks]


def test_locked_down_means_named_addresses(all_manifests: dict[str, list[Manifest]]) -> None:
    """No port is open to everywhere, and nobody reaches the internet."""
    manifests = all_manifests["locked-down"]
    for labels in _labels_by_component(manifests).values():
        for way in _ways_out(_policies(manifests, labels)):
            assert way == "dns" or str(way).startswith("10.20.0."), labels


def test_workers_take_calls_from_prometheus_alone(
    all_manifests: dict[str, list[Manifest]],
) -> None:
    """And from nobody where nothing is monitored."""
    for name in ("external", "locked-down"):
        manifests = all_manifests[name]
        labels = _labels_by_component(manifests)["trainer"]
        callers = [
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for policy in _policies(manifests, labels)
            for rule in policy.get("ingress", [])
            for peer in rule["from"]
        ]

        assert (["monitoring"] if name == "external" else []) == callers


def test_keda_may_read_the_demand(all_manifests: dict[str, list[Manifest]]) -> None:
    """It lives in a namespace of its own."""
    manifests = all_manifests["gpu-keda"]
    labels = _labels_by_component(manifests)["gateway"]

    assert "'kubernetes.io/metadata.name': 'keda'" in str(_policies(manifests, labels))
