"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from services.trainer.options import TrainOptions
from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options


def train(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``dataset`` -> avatar."""
    chosen = parse_options(TrainOptions, options)
    from services.trainer.train import train_avatar
    from shared.compute import prepare_compute

    prepare_compute(read_settings(os.environ))
    manifest = train_avatar(inputs / "dataset", chosen, out, progress)
    return {
        "method": manifest.method,
        "n_gaussians": manifest.n_gaussians,
        "n_steps": manifest.n_steps,
        "rasterizer": manifest.rasterizer,
        "capture_sha256": manifest.capture_sha256,
    }


ENTRIES = {"trainer.train": StageEntry(train, kept=("checkpoints", "previews"))}
