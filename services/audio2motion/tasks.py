"""What workers of this service can do (``shared/worker/stage_entry.py``)."""

import os
from pathlib import Path
from typing import Any

from shared.contracts.motion import MotionManifest
from shared.progress import Progress
from shared.settings import read_settings
from shared.worker.stage_entry import Facts, StageEntry, parse_options

_PATHS = {"motion_model", "driver", "pose_keyframes", "emotions"}
"""Options that name files of the machine that the command line runs on."""


def fit(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``dataset`` -> motion model."""
    from services.audio2motion.fit import FitMotionOptions, fit_motion_model
    from shared.compute import prepare_compute

    chosen = parse_options(FitMotionOptions, options)
    prepare_compute(read_settings(os.environ))
    manifest = fit_motion_model(inputs / "dataset", chosen, out, progress)
    return {"motion_model": manifest.motion_model, "n_frames": manifest.n_frames}


def animate(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``avatar`` with its ``avatar/motion_model``, and ``speech`` -> motion."""
    from services.audio2motion.animate_options import AnimateOptions
    from services.audio2motion.predict import animate_avatar
    from shared.compute import prepare_compute

    told = {name: value for name, value in options.items() if name not in _PATHS}
    chosen = parse_options(AnimateOptions, told)
    prepare_compute(read_settings(os.environ))
    return _facts(animate_avatar(inputs / "avatar", inputs / "speech", chosen, out, progress))


def respeak(inputs: Path, options: dict[str, Any], out: Path, progress: Progress) -> Facts:
    """``avatar`` with its ``avatar/motion_model``, and ``dataset`` -> motion of what was held out.

    From the sound alone, or with ``is_selfdriven`` from all that was tracked.
    """
    from services.audio2motion.predict import RespeakOptions, animate_heldout
    from shared.compute import prepare_compute

    chosen = parse_options(RespeakOptions, options)
    prepare_compute(read_settings(os.environ))
    avatar, dataset = inputs / "avatar", inputs / "dataset"
    return _facts(animate_heldout(avatar, dataset, chosen.is_selfdriven, out, progress))


def _facts(manifest: MotionManifest) -> Facts:
    return {"n_frames": manifest.n_frames, "fps": manifest.fps}


ENTRIES = {
    "audio2motion.animate": StageEntry(animate),
    "audio2motion.fit": StageEntry(fit, kept=("checkpoints",)),
    "audio2motion.respeak": StageEntry(respeak),
}
