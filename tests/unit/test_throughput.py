"""The GPU's benchmark, tried on the CPU."""

import json
from pathlib import Path

import pytest

from tests.gpu.throughput import main


def test_every_kind_is_measured_single_and_batched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Positive rates, and what is needed to run it again."""
    out = tmp_path / "bench.json"
    arguments = ["--rasterizer", "cpu", "--counts", "20", "--side", "40", "--batch", "2"]

    code = main([*arguments, "--seconds", "0.001", "--out", str(out)])

    told = json.loads(out.read_text())
    assert 0 == code
    assert told == json.loads(capsys.readouterr().out)
    assert ["gaussians", "surfels"] == [row["kind"] for row in told["rows"]]
    assert all(
        row[rate] > 0
        for row in told["rows"]
        for rate in ("draw_fps", "draw_batch_fps", "learn_fps")
    )
    assert told["command"].startswith("python -m tests.gpu.throughput --rasterizer cpu")
    assert {"device", "driver", "torch"} <= set(told)
