"""What the doctor finds."""

from pathlib import Path

import pytest
import torch

from services.embedded.doctor import examine
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
