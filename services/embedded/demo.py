"""The whole flow on a capture that the program films itself."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.embedded.puppet.capture import HELDOUT_SECONDS, demo_files, film_demo
from services.embedded.run_flow import Flow, RunOptions, run_flow
from services.embedded.run_result import RunResult
from services.embedded.step import StepRunner, code_digest
from shared.contracts.artifact import read_arrays
from shared.contracts.motion import MOTION_TABLE

F32 = NDArray[np.float32]

PRESET = "draft"
"""Enough for a face of this size, and five minutes on two cores."""


class DemoOutcome(BaseModel):
    """What the demo prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: RunResult
    """As of ``talksplat run``."""
    truth: dict[str, float]
    """Correlation of the jaw with the puppet's own, on the held-out part."""


def run_demo(out: Path, runner: StepRunner, seed: int) -> DemoOutcome:
    """Film the puppet, run the flow on it, and compare the jaw with the puppet's own."""
    files = demo_files(out / "capture")
    # Written last, so that what was stopped half-way, or made by other code, is filmed again.
    made_by, code = out / "capture" / "made_by.txt", code_digest("services/embedded/puppet")
    if runner.is_forced or not made_by.is_file() or made_by.read_text("ascii") != code:
        with runner.timed("film") as progress:
            film_demo(files, progress)
        made_by.write_text(code, "ascii")
    options = RunOptions(preset=PRESET, holdout_seconds=HELDOUT_SECONDS, seed=seed)
    result = run_flow(Flow(files.capture, files.speech, options, out), runner)
    return DemoOutcome(run=result, truth=compare_with_truth(out, files.truth))


def compare_with_truth(out: Path, truth: Path) -> dict[str, float]:
    """Correlate the held-out jaw, tracked and predicted, with the jaw that was filmed."""
    with np.load(truth, allow_pickle=False) as stored:
        jaw = stored["jaw"]
    names = {"tracked jaw": "selfdriven_motion", "spoken jaw": "spoken_motion"}
    return {name: _correlate(out / "heldout" / kind, jaw) for name, kind in names.items()}


def _correlate(motion: Path, jaw: F32) -> float:
    moved = read_arrays(motion / "motion.npz", MOTION_TABLE)["jaw_pose"][:, 0].astype(np.float64)
    return float(np.corrcoef(moved, jaw[-len(moved) :])[0, 1])
