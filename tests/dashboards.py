"""Dashboards and alert rules as they lie in the chart, and what processes really export."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from prometheus_client import CollectorRegistry

from shared.observability.gateway_telemetry import GatewayTelemetry
from shared.observability.worker_telemetry import GpuCollector, WorkerTelemetry
from tests.architecture.repository import ROOT

DASHBOARDS = sorted((ROOT / "deploy/helm/talksplat/dashboards").glob("*.json"))
RULES = sorted((ROOT / "deploy/helm/talksplat/rules").glob("*.yaml"))
ALERT_TESTS = sorted((ROOT / "tests/alerts").glob("*.yaml"))
_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


class Query(NamedTuple):
    """One target of a panel."""

    dashboard: str
    panel: str
    text: str
    is_sql: bool


def read_dashboard(name: str) -> dict[str, Any]:
    """A dashboard's JSON, by the name of its file."""
    path = next(path for path in DASHBOARDS if path.stem == name)
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def read_queries() -> Iterator[Query]:
    """Every query of every panel."""
    for path in DASHBOARDS:
        for panel in read_dashboard(path.stem)["panels"]:
            for target in panel["targets"]:
                is_sql = "rawSql" in target
                text = target["rawSql" if is_sql else "expr"]
                yield Query(path.stem, panel["title"], text, is_sql)


def read_rules() -> Iterator[dict[str, Any]]:
    """Every rule of every group."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from group["rules"]


def exported_series() -> set[str]:
    """Names of all series that gateways and workers export."""
    registry = CollectorRegistry()
    GatewayTelemetry(registry)
    WorkerTelemetry(registry)
    registry.register(GpuCollector(list))
    return {
        family.name + suffix for family in registry.collect() for suffix in _SUFFIXES[family.type]
    }


def named_series(text: str) -> set[str]:
    """Series of ours, exported or recorded, that a query names."""
    return set(re.findall(r"\btalksplat[_:][a-zA-Z0-9_:]+", text))
