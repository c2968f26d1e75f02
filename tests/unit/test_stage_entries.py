"""What plans order is what workers can do, and options are checked before anything heavy."""

from pathlib import Path

import pytest

from api.jobs.plan import PLANS, StageSpec, plan_job
from shared.errors import InvalidInput
from shared.messaging.routes import SERVICES
from shared.progress import silent
from shared.worker.stage_entry import find_entry, service_modules

STAGES = [
    stage
    for kind in sorted(PLANS)
    for stage in plan_job(kind, {"preprocess": {"holdout_seconds": 3}, "beat_renderer": {}})
]


@pytest.mark.parametrize("stage", STAGES, ids=[stage.entry for stage in STAGES])
def test_every_planned_stage_has_an_entry(stage: StageSpec) -> None:
    """In the service whose workers get the command."""
    service, entry = stage.service, stage.entry

    assert service in SERVICES
    assert entry.startswith((f"{service}.", "heartbeat."))
    assert callable(find_entry(service_modules(service), entry).run)


@pytest.mark.parametrize("stage", STAGES, ids=[stage.entry for stage in STAGES])
def test_every_entry_refuses_unknown_options(stage: StageSpec, tmp_path: Path) -> None:
    """By name, before it looks at its inputs."""
    service, name = stage.service, stage.entry
    entry = find_entry(service_modules(service), name)

    with pytest.raises(InvalidInput) as refusal:
        entry.run(tmp_path, {"surprise": 1}, tmp_path / "out", silent)

    assert "bad_options" == refusal.value.code


def test_an_unknown_entry_is_refused() -> None:
    """With what there is."""
    with pytest.raises(InvalidInput) as refusal:
        find_entry(service_modules("trainer"), "trainer.fly")

    assert "unknown_entry" == refusal.value.code
    assert "trainer.train" in refusal.value.message


def test_a_command_names_no_path_of_the_worker(tmp_path: Path) -> None:
    """A motion model comes as an input, never as a folder of the worker's disk."""
    entry = find_entry(service_modules("audio2motion"), "audio2motion.animate")

    with pytest.raises(InvalidInput) as refusal:
        entry.run(tmp_path, {"motion_model": "/etc"}, tmp_path / "out", silent)

    assert "not_an_artifact" == refusal.value.code
    assert "/etc" not in refusal.value.message
