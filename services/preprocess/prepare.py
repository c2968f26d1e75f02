"""Capture to tracked dataset: the steps, in order.

Each step reads what earlier ones left in the dataset folder and writes its own files, one frame
at a time: a long capture is never held in memory, and any step can be run again by itself after a
correction by hand.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from services.preprocess.dataset_writer import run_write
from services.preprocess.face_steps import (
    load_head,
    run_crop,
    run_fit,
    run_regions,
    run_track,
    sha256_of,
)
from services.preprocess.flow_pose import run_flow
from services.preprocess.options import PrepareOptions, Step
from services.preprocess.scene_steps import run_matte, run_plate
from services.preprocess.sound import write_sound
from services.preprocess.workspace import (
    CaptureReport,
    Job,
    Workspace,
    load_report,
    load_step,
    save_report,
)
from shared.contracts.artifact import MANIFEST, read_manifest
from shared.contracts.tracked_dataset import TrackedDatasetManifest
from shared.errors import InvalidInput
from shared.progress import Progress, part_of


def prepare_dataset(
    capture: Path,
    options: PrepareOptions,
    out: Path,
    progress: Progress,
    models_dir: Path | None = None,
) -> TrackedDatasetManifest | None:
    """Turn ``capture`` into a tracked dataset in ``out``.

    Args:
        capture: Any video file.
        options: What to do; steps before ``options.from_step`` are taken from ``out``.
        out: The dataset folder; made if it is not there.
        progress: Told how far it is.
        models_dir: Folder of the operator's model files, for head models that need one.

    Returns:
        The manifest, or None when ``options.to_step`` comes before ``write``.

    Raises:
        InvalidInput: the capture cannot be used; its ``code`` says why (``no_face``,
            ``several_faces``, ``face_too_small``, ``shot_cut``, ``too_short``, ``still_image``,
            ``unreadable_media``, ...).
    """
    job = Job(capture, options, Workspace(out), models_dir)
    if "fit" in options.steps():
        load_head(job)  # a missing model file is told before an hour of work
    out.mkdir(parents=True, exist_ok=True)
    if options.from_step != "track":
        _check_same(job)
    (out / MANIFEST).unlink(missing_ok=True)
    steps = options.steps()
    total = sum(_SHARES[step] for step in steps)
    done = 0.0
    for step in steps:
        share = _SHARES[step] / total
        _RUN[step](job, part_of(progress, done, min(done + share, 1.0)))
        done += share
    progress(1.0, f"{steps[-1]} done")
    return read_manifest(out, TrackedDatasetManifest) if steps[-1] == "write" else None


def _run_sound(job: Job, progress: Progress) -> None:
    """Write the sound and note its offset."""
    facts = load_report(job.space, "track", CaptureReport)
    landmarks = load_step(job.space, "crop")["landmarks"].astype(np.float32)
    progress(0.0, "aligning the sound")
    out = job.space.folder / "audio.wav"
    report = write_sound(job.capture, facts.start_s, landmarks, facts.n_train, out)
    save_report(job.space, "sound", report)


def _check_same(job: Job) -> None:
    """Refuse to mix two captures, or two splits of one, in a folder."""
    facts = load_report(job.space, "track", CaptureReport)
    if facts.sha256 != sha256_of(job.capture):
        raise InvalidInput(
            "capture_changed",
            f"{job.space.folder} was begun with another file than {job.capture.name}; "
            "run all steps, or use another folder",
        )
    n_held_out = job.options.n_held_out()
    if n_held_out and facts.n_frames - facts.n_train != n_held_out:
        raise InvalidInput(
            "split_changed",
            f"{facts.n_frames - facts.n_train} frames were held out before, {n_held_out} now; "
            "run all steps to change the split",
        )


_RUN: dict[Step, Callable[[Job, Progress], None]] = {
    "track": run_track,
    "crop": run_crop,
    "matte": run_matte,
    "plate": run_plate,
    "fit": run_fit,
    "regions": run_regions,
    "flow": run_flow,
    "sound": _run_sound,
    "write": run_write,
}
_SHARES: dict[Step, float] = {
    "track": 0.15,
    "crop": 0.08,
    "matte": 0.2,
    "plate": 0.07,
    "fit": 0.3,
    "regions": 0.08,
    "flow": 0.05,
    "sound": 0.02,
    "write": 0.1,
}
"""Shares of the time, for the progress; fitting waits for photometric refinement."""
