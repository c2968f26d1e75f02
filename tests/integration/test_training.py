"""A real training whose worker is killed goes on from its last checkpoint, to the same bytes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.trainer.options import TrainOptions
from shared.contracts.command import RunStage
from shared.contracts.event import StageSucceeded
from tests.integration.platform_world import Gateway, running_worker
from tests.tracked_person import write_tracked_dataset

N_STEPS = 200
OPTIONS = TrainOptions(preset="draft", max_steps=N_STEPS, max_gaussians=700, seed=4)
DATASET = "tenants/t/jobs/d/preprocess/1/"


@pytest.fixture
def gateway(broker_url: str, store_url: str, tmp_path: Path) -> Iterator[Gateway]:
    """With the made-up person's dataset in its store."""
    made = Gateway(broker_url, store_url)
    folder = write_tracked_dataset(tmp_path / "dataset", n_heldout=0)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        made.store.put_file(DATASET + path.relative_to(folder).as_posix(), path)
    yield made
    made.close()


def test_a_killed_training_ends_in_the_same_bytes(gateway: Gateway, tmp_path: Path) -> None:
    """At most five percent of its optimizer steps are taken twice."""
    with running_worker(gateway, tmp_path, entries=None, TALKSPLAT_THREADS="1"):
        whole = _order(gateway, "whole")
        final = gateway.wait_for_final(whole, 240)
        assert isinstance(final, StageSucceeded)

        killed = _order(gateway, "killed")
        gateway.wait_for_progress(killed, 0.5, 120)
    reached = gateway.fraction(killed)
    saved = _saved_step(gateway, "killed")
    with running_worker(gateway, tmp_path, entries=None, TALKSPLAT_THREADS="1"):
        final = gateway.wait_for_final(killed, 240)
        assert isinstance(final, StageSucceeded)

    assert saved >= N_STEPS * (_share_of_training(reached) - 0.05)
    assert _digests(gateway, "whole") == _digests(gateway, "killed")


def _order(gateway: Gateway, job_id: str) -> RunStage:
    stage = f"tenants/t/jobs/{job_id}/train/"
    return gateway.order(
        job_id=job_id,
        stage="train",
        entry="trainer.train",
        inputs={"dataset": DATASET},
        options=OPTIONS.model_dump(exclude_defaults=True),
        output_prefix=f"{stage}1/",
        checkpoint_prefix=f"{stage}checkpoints/",
        lease_seconds=30,
        deadline_seconds=600,
    )


def _share_of_training(fraction: float) -> float:
    """From the attempt's progress, of which the loop is the middle part, to the loop's own."""
    return ((fraction - 0.02) / 0.95 - 0.05) / 0.88


def _saved_step(gateway: Gateway, job_id: str) -> int:
    """Of the checkpoint that the next attempt finds."""
    prefix = f"tenants/t/jobs/{job_id}/train/checkpoints/"
    keys = [info.key for info in gateway.store.list_objects(prefix)]
    complete = sorted(key for key in keys if key.endswith("/checkpoint.json"))
    index = complete[-1].removesuffix("checkpoint.json") + "checkpoints/latest.json"
    return int(json.loads(gateway.store.get_bytes(index, max_bytes=1 << 20))["step"])


def _digests(gateway: Gateway, job_id: str) -> dict[str, str]:
    """Of every object, but for the times and the event, which name the run."""
    prefix = f"tenants/t/jobs/{job_id}/train/1/"
    names = [info.key.removeprefix(prefix) for info in gateway.store.list_objects(prefix)]
    return {
        name: hashlib.sha256(gateway.store.get_bytes(prefix + name, max_bytes=1 << 26)).hexdigest()
        for name in names
        if name not in {"final_event.json", "timing.json"}
    }
