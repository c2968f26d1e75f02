"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from services.preprocess.options import PrepareOptions
from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options


def prepare(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``capture`` -> tracked dataset."""
    chosen = parse_options(PrepareOptions, options)
    from services.preprocess.prepare import prepare_dataset
    from shared.compute import prepare_compute

    settings = read_settings(os.environ)
    prepare_compute(settings)
    manifest = prepare_dataset(inputs / "capture", chosen, out, progress, settings.models_dir)
    return (
        {}
        if manifest is None
        else {
            "n_frames": manifest.n_frames,
            "n_train": manifest.n_train,
            "has_audio": manifest.has_audio,
            "capture_width": manifest.capture_width,
            "capture_height": manifest.capture_height,
            "capture_sha256": manifest.capture_sha256,
            "warnings": ", ".join(manifest.warnings),
        }
    )


def verify(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``upload`` -> what was found in it."""
    from services.preprocess.verify_upload import VerifyOptions, verify_upload

    chosen = parse_options(VerifyOptions, options)
    manifest = verify_upload(inputs / "upload", chosen, out, progress)
    return manifest.model_dump(exclude={"kind", "schema_version", "files"})


ENTRIES = {
    "preprocess.prepare": StageEntry(prepare),
    "preprocess.verify_upload": StageEntry(verify),
}
