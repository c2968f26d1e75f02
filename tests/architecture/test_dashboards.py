"""Dashboards and alerts ask for what there is, and every alert says what to do."""

import re

import pytest
import yaml

from api.db.reporting import VIEWS
from tests.architecture.repository import ROOT
from tests.dashboards import (
    ALERT_TESTS,
    DASHBOARDS,
    exported_series,
    named_series,
    read_dashboard,
    read_queries,
    read_rules,
)

ALERTS = [rule for rule in read_rules() if "alert" in rule]
QUERIES = [query for query in read_queries() if not query.is_sql]
_RUNBOOKS = (ROOT / "docs/runbooks.md").read_text("utf-8")
_SOURCES = {"${prometheus}": "prometheus", "${reporting}": "grafana-postgresql-datasource"}


def test_queries_name_series_that_are_exported() -> None:
    """By processes or by recording rules; a renamed series breaks no alert in silence."""
    recorded = {rule["record"] for rule in read_rules() if "record" in rule}
    asked = set().union(
        *(named_series(rule["expr"]) for rule in read_rules()),
        *(named_series(query.text) for query in QUERIES),
    )

    assert recorded
    assert set() == asked - recorded - exported_series()


def test_every_series_is_looked_at() -> None:
    """By some panel or alert; what nobody looks at is not worth its memory."""
    asked = set().union(
        *(named_series(rule["expr"]) for rule in read_rules()),
        *(named_series(query.text) for query in QUERIES),
    )
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported_series()}
    seen = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}

    per_process = {name for name in families - seen if name.startswith("talksplat_worker_")}
    assert families - seen == per_process  # the gateway's series tell the same of all workers


def test_sql_reads_the_views_and_nothing_else() -> None:
    """What the role of the dashboards may read."""
    asked = {
        name
        for query in read_queries()
        if query.is_sql
        for name in re.findall(r"\b(?:FROM|JOIN) ([a-z_]+)", query.text)
    }

    assert set(VIEWS) == asked


@pytest.mark.parametrize("name", [path.stem for path in DASHBOARDS])
def test_panels_explain_themselves(name: str) -> None:
    """Each has a title of its own, a sentence, and a data source that the reader chooses."""
    dashboard = read_dashboard(name)
    panels = dashboard["panels"]
    offered = {f"${{{v['name']}}}" for v in dashboard["templating"]["list"]}

    assert f"talksplat-{name}" == dashboard["uid"]
    assert len(panels) == len({panel["title"] for panel in panels})
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        source = panel["datasource"]
        assert _SOURCES[source["uid"]] == source["type"]
        assert source["uid"] in offered


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_every_alert_has_a_runbook(alert: dict[str, dict[str, str]]) -> None:
    """Its address leads to a section that names it, and it wakes somebody or not."""
    document, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    section = _RUNBOOKS.partition(f"\n## {anchor}\n")[2].partition("\n## ")[0]

    assert "docs/runbooks.md" == document
    assert f"`{alert['alert']}`" in section
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]


def test_every_alert_is_tested() -> None:
    """It fires in a file of tests/alerts, which promtool runs (make alerts)."""
    fired = {
        test["alertname"]
        for path in ALERT_TESTS
        for group in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for test in group.get("alert_rule_test", ())
        if test.get("exp_alerts")
    }

    assert set() == {str(alert["alert"]) for alert in ALERTS} - fired


def test_no_query_asks_for_a_tenant_or_a_job() -> None:
    """No series has such a label."""
    labels = re.compile(r"\b(tenant|tenant_id|job_id|worker_id)\b")

    assert [] == [query for query in QUERIES if labels.search(query.text)]
