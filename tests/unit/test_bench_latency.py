"""What is said of the latency of encoders and motion models."""

from pathlib import Path

import pytest

from services.embedded.bench_latency import list_latencies
from shared.plugins import plugin_names


def test_every_encoder_and_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it waits for, whether it can speak while it listens, and what it lacks."""
    monkeypatch.setenv("TALKSPLAT_MODELS_DIR", str(tmp_path))

    rows = {(row.kind, row.name): row for row in list_latencies()}

    told = {("encoder", name) for name in plugin_names("shared.audio_encoders")}
    models = plugin_names("services.audio2motion.motion_models")
    assert told | {("motion model", name) for name in models} == set(rows)
    regressor = rows["motion model", "speaker_regressor"]
    unitalker = rows["motion model", "unitalker"]
    assert regressor.is_chunkable
    assert 0.2 < (regressor.look_ahead_s or 0) < 0.6
    assert (25.0, ("unitalker.pt",)) == (unitalker.look_ahead_s, unitalker.missing)
    assert rows["encoder", "hubert"].look_ahead_s is None
    assert rows["encoder", "ave"].is_chunkable
