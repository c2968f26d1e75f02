"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from shared.contracts.scores import QUALITY_BELOW
from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options


def evaluate(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``video``, and what there is of ``EvaluateInputs`` besides -> scores.

    A figure below its bar of ``min_quality`` is told as the fact ``quality_below``, by which the
    gateway fails the job (``api/jobs/state_machine.py``).
    """
    from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video
    from services.evaluator.quality import shortfalls
    from shared.compute import prepare_compute

    chosen = parse_options(EvaluateOptions, options)
    settings = read_settings(os.environ)
    prepare_compute(settings)
    chosen = chosen.model_copy(update={"models_dir": settings.models_dir})
    given = {name: inputs / name for name in EvaluateInputs._fields}
    judged = EvaluateInputs(**{name: path for name, path in given.items() if path.exists()})
    manifest = evaluate_video(judged, chosen, out, progress)
    scores = {name: score.value for name, score in manifest.scores.items()}
    facts: Facts = {"n_frames": manifest.n_frames, **scores}
    if below := shortfalls(manifest.scores, chosen.min_quality):
        facts[QUALITY_BELOW] = "; ".join(below)
    return facts


ENTRIES = {"evaluator.evaluate": StageEntry(evaluate)}
