"""Nothing is lost and nothing counts twice, whoever is killed with -9 at whatever moment."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.servers import Servers
from tests.load.chaos import ChaosPlan, run_chaos, write_report
from tests.load.site import open_site

_MANY = int(os.environ.get("TALKSPLAT_CHAOS_JOBS", "200"))
_SEED = int(os.environ.get("TALKSPLAT_CHAOS_SEED", "1"))


def test_every_job_ends_well_once_whoever_is_killed(
    killed_servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers, stages, gateway, broker and store: two hundred jobs, ten thousand in make chaos."""
    plan = ChaosPlan(n_jobs=_MANY, n_kills=max(48, _MANY // 40), seed=_SEED)
    with open_site(killed_servers.urls, tmp_path / "site") as site:
        report = run_chaos(site, killed_servers, plan)
    write_report(report, Path(os.environ.get("TALKSPLAT_CHAOS_REPORT", tmp_path / "kills.jsonl")))
    with capsys.disabled():
        print(report.told())  # noqa: T201 - the figures belong into the log of every run
    kills = Counter(kill.target for kill in report.kills)

    assert {"succeeded": plan.n_jobs} == report.statuses, report.told()
    assert [] == report.faults, report.told()
    assert plan.n_jobs == report.n_told
    assert len(report.kills) >= 40
    assert min(kills[target] for target in ("worker", "gateway", "broker", "store")) >= 5
    assert sum(bool(kill.in_flight) for kill in report.kills) >= 0.8 * len(report.kills)
