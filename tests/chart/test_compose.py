"""``deploy/compose.yaml``: a valid document that starts in order and keeps its secrets out."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.messaging.routes import SERVICES
from tests.architecture.repository import ROOT
from tests.chart.rendering import run_tool, tool, tools_folder

DEPLOY = ROOT / "deploy"
_TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(_TEXT)
_SERVICES: dict[str, Any] = COMPOSE["services"]
_VARIABLE = re.compile(r"\$\{(\w+)(:\?|:-[^}]*)?\}")
ENDS = {"migrate", "store-volume"}
"""What ends by itself."""


def _read_yaml(path: str) -> Any:  # noqa: ANN401 - any document
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


def test_compose_knows_every_field(tmp_path: Path) -> None:
    """By the schema of the Compose specification, after YAML's own merging."""
    document = tmp_path / "compose.json"
    document.write_text(json.dumps(COMPOSE), encoding="utf-8")
    schema = tools_folder() / "node/node_modules/dclint/schemas/compose.schema.json"

    done = run_tool(tool("jsonschema"), "--instance", str(document), str(schema))

    assert 0 == done.returncode, done.stdout + done.stderr


def test_everything_of_the_platform_is_there() -> None:
    """Three servers, gateway, five workers, Prometheus and Grafana."""
    expected = {"postgres", "rabbitmq", "seaweedfs", "gateway", "prometheus", "grafana", *SERVICES}

    assert expected <= set(_SERVICES)


def test_the_profiles_differ_in_trainer_and_renderer_alone() -> None:
    """Everything else runs on any machine."""
    profiles = {name: each["profiles"] for name, each in _SERVICES.items() if "profiles" in each}

    assert {
        "trainer": ["cpu"],
        "renderer": ["cpu"],
        "trainer-cuda": ["gpu"],
        "renderer-cuda": ["gpu"],
    } == profiles
    for name in ("trainer", "renderer"):
        cuda = _SERVICES[f"{name}-cuda"]

        assert "cpu" == _SERVICES[name]["build"]["target"]
        assert "cuda" == cuda["build"]["target"]
        assert "nvidia" == cuda["deploy"]["resources"]["reservations"]["devices"][0]["driver"]
        assert [name] == cuda["networks"]["inside"]["aliases"]


@pytest.mark.parametrize("name", _SERVICES)
def test_nothing_runs_with_more_than_it_needs(name: str) -> None:
    """A read-only root, no capabilities but to give away a new volume, pinned images."""
    service = _SERVICES[name]

    assert service["read_only"] is True
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert {"store-volume": ["CHOWN"]}.get(name, []) == service.get("cap_add", [])
    assert service["image"].rpartition(":")[2] not in {"", "latest"}


def test_secrets_come_from_the_environment_file_alone() -> None:
    """Each must be given, none has a default, and the example names them all without any value."""
    needed = {name for name, rest in _VARIABLE.findall(_TEXT) if rest == ":?"}
    lines = (DEPLOY / "compose.env.example").read_text("utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    with_default = {name for name, rest in _VARIABLE.findall(_TEXT) if rest.startswith(":-")}

    assert dict.fromkeys(needed, "") == example
    assert not [name for name in with_default if re.search("PASSWORD|SECRET|ACCESS", name)]
    assert not re.search(r"(PASSWORD|PASS|SECRET_KEY): +[^$\s]", _TEXT)


def test_each_starts_when_what_it_needs_is_well() -> None:
    """By health, or by an end without error; what is waited for can tell."""
    dockerfiles = {
        each["image"].partition(":")[0] for each in _SERVICES.values() if "build" in each
    }
    for name, service in _SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            told = "service_completed_successfully" if needed in ENDS else "service_healthy"
            image = _SERVICES[needed]["image"].partition(":")[0]

            assert told == how["condition"], (name, needed)
            assert needed in ENDS or "healthcheck" in _SERVICES[needed] or image in dockerfiles
    waits = {name: set(each.get("depends_on", {})) for name, each in _SERVICES.items()}
    assert {"postgres"} == waits["migrate"]
    assert {"migrate", "rabbitmq", "seaweedfs"} == waits["gateway"]
    assert all({"rabbitmq", "gateway"} == waits[name] for name in SERVICES)


def test_only_the_gateway_and_what_people_open_reach_out() -> None:
    """Workers, which decode what strangers upload, have no way to the internet or the database."""
    outside = {name for name, each in _SERVICES.items() if "outside" in each.get("networks", [])}

    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {"gateway", "grafana", "seaweedfs"} == outside
    for name in SERVICES:
        assert "DATABASE" not in str(_SERVICES[name]["environment"])


def test_ports_are_open_on_this_machine_only() -> None:
    """Whoever wants more puts a proxy with TLS before them."""
    ports = [port for each in _SERVICES.values() for port in each.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_there() -> None:
    """Files of this folder, the chart's rules and dashboards among them."""
    for name, service in _SERVICES.items():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*:-([^}]*)\}", r"\1", volume).partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


def test_prometheus_reads_everything_that_measures() -> None:
    """The gateway, all workers wherever they run, and RabbitMQ."""
    jobs = {
        each["job_name"]: each
        for each in _read_yaml("prometheus/prometheus.yaml")["scrape_configs"]
    }

    assert ["gateway:8000"] == jobs["talksplat-gateway"]["static_configs"][0]["targets"]
    workers = jobs["talksplat-workers"]["dns_sd_configs"][0]
    assert set(SERVICES) == set(workers["names"])
    assert 9464 == workers["port"]


def test_grafana_finds_its_sources_and_dashboards() -> None:
    """Dashboards name these two sources by their uids."""
    sources = _read_yaml("grafana/provisioning/datasources/talksplat.yaml")["datasources"]
    (provider,) = _read_yaml("grafana/provisioning/dashboards/talksplat.yaml")["providers"]
    mounted = [volume.split(":")[1] for volume in _SERVICES["grafana"]["volumes"]]

    assert {"prometheus": "prometheus", "talksplat-postgres": "postgres"} == {
        each["uid"]: each["type"] for each in sources
    }
    login = _SERVICES["migrate"]["environment"]["TALKSPLAT_REPORTING_DATABASE_URL"]
    assert f"//{sources[1]['user']}:${{TALKSPLAT_REPORTING_PASSWORD:?}}@" in login
    assert provider["options"]["path"] in mounted
