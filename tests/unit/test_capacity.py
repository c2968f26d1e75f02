"""Capacity: what the page says is what the calculation gives."""

import json
import math
import re

import pytest

from api.jobs.plan import plan_job
from services.embedded.capacity import HOLDOUT, TIMES, Demand, reckon
from services.embedded.cli import run_command
from tests.architecture.repository import ROOT

_PAGE = (ROOT / "docs/capacity.md").read_text("utf-8")


def test_every_stage_of_the_plans_has_a_time() -> None:
    """And no other has."""
    planned = {
        (kind, stage.name)
        for kind in ("create_avatar", "create_video")
        for stage in plan_job(kind, HOLDOUT)
    }

    assert planned == set(TIMES)


def test_workers_follow_from_seconds() -> None:
    """As many as are busy for the share that they may be."""
    demand = Demand(avatars_per_hour=100, videos_per_hour=0, busy=0.5)
    needs = {need.service: need for need in reckon(demand).needs}

    trainer = needs["trainer"]
    assert math.ceil(100 * trainer.seconds_per_avatar / 3600 / 0.5) == trainer.workers


def test_a_longer_video_costs_what_a_minute_costs() -> None:
    """The start of the processes is paid once."""
    one, two = (reckon(Demand(video_seconds=seconds)) for seconds in (60, 120))

    assert one.video_minute_seconds == pytest.approx(two.video_seconds - one.video_seconds)
    assert one.video_minute_cost == pytest.approx(two.video_cost - one.video_cost)


def test_nothing_asked_for_needs_nobody() -> None:
    """Pools may be scaled to none."""
    needs = reckon(Demand(avatars_per_hour=0, videos_per_hour=0)).needs

    assert {0} == {need.workers for need in needs}


@pytest.mark.parametrize("words", re.findall(r"^talksplat (capacity .+)$", _PAGE, re.MULTILINE))
def test_the_page_s_tables_are_what_the_command_prints(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever runs its commands finds its numbers."""
    run_command([*words.split(), "--json"])
    found = json.loads(capsys.readouterr().out)

    table = _PAGE.partition(f"talksplat {words}\n")[2].partition("\n\n##")[0]
    rows = dict(re.findall(r"^\| (\w+) \|.* (\d+) \|$", table, re.MULTILINE))
    assert {n["service"]: str(n["workers"]) for n in found["needs"]} == rows
    costs = (found["avatar_seconds"], found["video_seconds"], found["video_minute_seconds"])
    assert all(f"{seconds:.0f} s" in table for seconds in costs)
