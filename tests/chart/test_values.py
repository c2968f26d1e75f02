"""Every value is explained and checked, and values that contradict each other are refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from shared.messaging.routes import SERVICES
from tests.chart.rendering import CHART, template, values_of

_TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
_SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text("utf-8"))


def test_every_value_is_explained() -> None:
    """A comment stands above it, or above the block of one line that it is in."""
    silent = []
    lines = _TEXT.splitlines()
    for number, line in enumerate(lines):
        is_key = line.strip().partition(":")[0].isidentifier()
        opens_a_block = line.endswith(":")
        above = lines[number - 1].strip() if number else ""
        if is_key and not opens_a_block and not above.startswith("#"):
            silent.append(line.strip())

    # One entry of workers and the defaults' resources are explained at workerDefaults.
    known = ("requests:", "limits:", "graceSeconds: 120", "terminationGracePeriodSeconds: 180")
    assert [] == [line for line in silent if not line.startswith((*known, "scaling: {"))]


def test_every_value_is_in_the_schema() -> None:
    """And the schema knows no others, so that a misspelt one is refused."""
    values = yaml.safe_load(_TEXT)

    assert sorted(_paths(values, _SCHEMA)) == sorted(set(_paths(values, _SCHEMA)))
    assert set(_SCHEMA["properties"]) - {"global"} == set(values)


def test_every_service_has_workers() -> None:
    """The map of workers is the folder of services."""
    assert set(SERVICES) == set(yaml.safe_load(_TEXT)["workers"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "existingSecret, or set trial.enabled"),
        (["trial.enabled=true", "broker.existingSecret=x"], "brings its own servers"),
        (["trial.enabled=true", "image.tag=latest"], "image.tag"),
        (["trial.enabled=true", "workers.trainer.graceSeconds=170"], "30 more than graceSeconds"),
        (["trial.enabled=true", "workers.evaluator.variant=cuda"], "only trainer and renderer"),
        (["trial.enabled=true", "workers.trainer.scaling.min=9"], "above scaling.max"),
        (["trial.enabled=true", "workers.trainer.resources.limits.cpu=null"], "limits"),
        (["trial.enabled=true", "workers.trainer.replica=3"], "replica"),
        (["trial.enabled=true", "workers.dubbing.replicas=1"], "dubbing"),
        (["trial.enabled=true", "gateway.replicas=0"], "gateway.replicas"),
        (["trial.enabled=true", "gateway.ingress.enabled=true"], "gateway.ingress.host"),
        (["trial.enabled=true", "workers.trainer.settings.TALKSPLAT_STORE_URL=x"], "STORE_URL"),
    ],
)
def test_contradictions_are_refused(given: list[str], told: str) -> None:
    """With the value's name and what to do."""
    done = template([argument for each in given for argument in ("--set", each)])

    assert 0 != done.returncode
    assert told in done.stderr


def test_a_worker_takes_what_it_does_not_say_from_the_defaults() -> None:
    """And what it says from itself."""
    changed = ("workerDefaults.scratchSize=7Gi", "workers.renderer.scratchSize=9Gi")
    sets = [argument for each in changed for argument in ("--set", each)]
    done = template(["--values", values_of("trial"), *sets])
    sizes = [
        volume["emptyDir"]["sizeLimit"]
        for each in yaml.safe_load_all(done.stdout)
        if each and each["kind"] == "Deployment" and not each["metadata"]["name"].endswith("way")
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "scratch"
    ]

    assert ["7Gi"] * 4 + ["9Gi"] == sorted(sizes)


def _paths(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:  # noqa: ANN401
    """Names of all values; fails at one that the schema does not describe."""
    if "$ref" in schema:
        schema = _SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        yield path
        return
    for name, below in value.items():
        assert name in properties, f"{path}.{name} is not in the schema"
        yield from _paths(below, properties[name], f"{path}.{name}")
