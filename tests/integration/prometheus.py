"""A real Prometheus that scrapes what a test starts, with the chart's own rules."""

import json
import math
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.repository import ROOT
from tests.load.programs import free_port

_SCRIPT = ROOT / "tests/services/prometheus.sh"
Sample = tuple[Mapping[str, str], float]


class Prometheus:
    """Its HTTP API."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, query: str) -> list[Sample]:
        """What an instant query gives now."""
        found = self._get("query", query=query)["result"]
        if isinstance(found[0] if found else None, float):
            return [({}, float(found[1]))]  # a scalar
        return [(one["metric"], float(one["value"][1])) for one in found]

    def targets(self) -> dict[str, str]:
        """Health of each target, by its address."""
        found = self._get("targets")["activeTargets"]
        return {one["labels"]["instance"]: one["health"] for one in found}

    def rule_errors(self) -> list[str]:
        """What the rules' last evaluations complained about."""
        groups = self._get("rules")["groups"]
        return [rule["lastError"] for g in groups for rule in g["rules"] if rule.get("lastError")]

    def _get(self, what: str, **query: str) -> Any:  # noqa: ANN401 - any JSON value
        url = f"{self._address}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]


@contextmanager
def scraping(folder: Path, targets: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Prometheus for the length of the block; ``targets`` are addresses by job."""
    folder.mkdir()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "deploy/helm/talksplat/rules/*.yaml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            for job, addresses in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = str(free_port())
    try:
        subprocess.run([str(_SCRIPT), "up", str(folder), port], check=True, timeout=120)
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        subprocess.run([str(_SCRIPT), "down", str(folder), port], check=True, timeout=60)


def is_number(sample: Sample) -> bool:
    """Whether it is more than the quotient of nothing."""
    return not math.isnan(sample[1])
