"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options


def evaluate(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``video``, and where there are any ``reference``, ``audio`` and ``dataset`` -> scores."""
    from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video
    from shared.compute import prepare_compute

    chosen = parse_options(EvaluateOptions, options)
    prepare_compute(read_settings(os.environ))
    given = {name: inputs / name for name in EvaluateInputs._fields}
    judged = EvaluateInputs(**{name: path for name, path in given.items() if path.exists()})
    manifest = evaluate_video(judged, chosen, out, progress)
    scores = {name: score.value for name, score in manifest.scores.items()}
    return {"n_frames": manifest.n_frames, **scores}


ENTRIES = {"evaluator.evaluate": StageEntry(evaluate)}
