"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options


def render(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``avatar`` and ``motion`` -> video; with ``dataset``, of what that holds out."""
    from services.renderer.render import render_video
    from services.renderer.shot import RenderOptions
    from shared.compute import prepare_compute

    chosen = parse_options(RenderOptions, options)
    prepare_compute(read_settings(os.environ))
    dataset = inputs / "dataset"
    manifest = render_video(
        inputs / "avatar",
        inputs / "motion",
        chosen,
        out,
        progress,
        dataset=dataset if dataset.is_dir() else None,
    )
    return {
        "file": manifest.file,
        "width": manifest.width,
        "height": manifest.height,
        "fps": manifest.fps,
        "n_frames": manifest.n_frames,
        "rasterizer": manifest.rasterizer,
    }


ENTRIES = {"renderer.render": StageEntry(render)}
