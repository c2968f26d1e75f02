"""What the doctor finds."""

import shutil
from pathlib import Path

import pytest
import torch

from api.db.migrate import migrate_database
from services.embedded.doctor import examine
from services.embedded.doctor_gpu import Gpu, GpuFacts, judge_gpus
from services.embedded.doctor_servers import examine_servers
from shared.object_store import open_store
from shared.settings import Settings


def test_a_machine_that_runs_the_tests_is_well(tmp_path: Path) -> None:
    """Libraries, codecs and every plug-in load."""
    findings = examine(Settings(models_dir=tmp_path, n_threads=1), tmp_path)

    assert [] == [finding for finding in findings if not finding.is_well]
    assert {"torch", "codecs", "rasterizers/cpu", "metrics/psnr"} <= {f.subject for f in findings}


def test_an_altered_model_file_is_found(tmp_path: Path) -> None:
    """A known checksum that does not match is a problem, not a present file."""
    (tmp_path / "face_landmarker.task").write_bytes(b"something else")

    findings = {f.subject: f for f in examine(Settings(models_dir=tmp_path), tmp_path)}

    assert not findings["models"].is_well
    assert "face_landmarker.task" in findings["models"].text


def test_a_machine_without_a_gpu_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CUDA rasterizer is named with what it lacks; the CPU's is ready."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    findings = {f.subject: f for f in examine(Settings(), tmp_path)}

    assert findings["rasterizers/gsplat_cuda"].is_well
    assert "no CUDA device" in findings["rasterizers/gsplat_cuda"].text
    assert "ready" == findings["rasterizers/cpu"].text


def test_a_deployable_needs_its_own_libraries_only(tmp_path: Path) -> None:
    """A gateway neither draws nor decodes; a worker knows no database."""
    settings = Settings(models_dir=tmp_path)
    gateway = {f.subject for f in examine(settings, tmp_path, "gateway")}
    evaluator = {f.subject for f in examine(settings, tmp_path, "evaluator")}

    assert {"fastapi", "database", "broker", "store"} <= gateway
    assert not {"torch", "codecs", "rasterizers/cpu", "gpu"} & gateway
    assert {"metrics/psnr", "codecs", "work_dir"} <= evaluator
    assert not {"database", "rasterizers/cpu", "head_models/flame"} & evaluator


def test_servers_are_tried(tmp_path: Path) -> None:
    """A database that is migrated, a broker in memory, a folder as a store."""
    url = f"sqlite:///{tmp_path / 'talksplat.db'}"
    migrate_database(url)
    settings = Settings(
        database_url=url, broker_url="memory://", store_url=(tmp_path / "s").as_uri()
    )
    open_store(settings.store_url or "").prepare()

    findings = {f.subject: f for f in examine_servers(settings, needs_database=True)}

    assert [] == [f for f in findings.values() if not f.is_well]
    assert "migrated" in findings["database"].text
    assert [] == list(open_store(settings.store_url or "").list_objects(""))


def test_servers_that_do_not_answer_are_told_with_advice(tmp_path: Path) -> None:
    """Each with what to look at; no password is shown."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'empty.db'}",
        broker_url="http://user:password@nowhere",
        store_url="s4://user:password@nowhere",
    )

    findings = {f.subject: f for f in examine_servers(settings, needs_database=True)}

    assert not any(finding.is_well for finding in findings.values())
    assert "talksplat migrate" in findings["database"].text
    assert "TALKSPLAT_BROKER_URL" in findings["broker"].text
    assert not any("password" in finding.text for finding in findings.values())


H100 = Gpu("NVIDIA H100", 85_000_000_000, 84_000_000_000, (9, 0))


@pytest.mark.parametrize(
    ("facts", "unwell", "told"),
    [
        (GpuFacts(None, (), "13.0", is_usable=False), [], "no NVIDIA driver"),
        (GpuFacts("580.1", (), "13.0", is_usable=False), ["gpu"], "nvidia.com/gpu"),
        (GpuFacts("470.1", (H100,), "13.0", is_usable=False), ["cuda"], "driver for CUDA 13.0"),
        (GpuFacts("580.1", (H100,), None, is_usable=False), ["cuda"], "build without CUDA"),
        (GpuFacts("580.1", (H100,), "13.0", is_usable=True), [], "84.0 of 85.0 GB free"),
        (
            GpuFacts("580.1", (H100._replace(free_bytes=10**9),), "13.0", is_usable=True),
            ["gpu 0"],
            "another process holds the rest",
        ),
        (
            GpuFacts("580.1", (H100._replace(capability=(6, 1)),), "13.0", is_usable=True),
            ["gpu 0"],
            "capability 7.0",
        ),
    ],
)
def test_driver_cuda_and_memory_are_judged(facts: GpuFacts, unwell: list[str], told: str) -> None:
    """What is wrong, and what to do about it."""
    findings = judge_gpus(facts)

    assert unwell == [finding.subject for finding in findings if not finding.is_well]
    assert told in " ".join(finding.text for finding in findings)


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how much room is needed."""
    full = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)

    findings = {f.subject: f for f in examine(Settings(models_dir=tmp_path), tmp_path, "gateway")}

    assert not findings["disk"].is_well
    assert "make room" in findings["disk"].text
