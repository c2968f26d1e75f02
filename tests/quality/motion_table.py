"""``make motion-table``: every motion model on the held-out seconds of real captures.

LMD and ``opening_corr`` are the evaluator's, on the rendered and decoded video against the capture.
Avatars and datasets are made once by ``talksplat run`` and found again in the folder of the runs.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from services.audio2motion.fit import FitMotionOptions, fit_on_datasets
from services.audio2motion.predict import animate_heldout
from services.audio2motion.tracks import coefficients_of, motion_tracks, split_coefficients
from services.evaluator.evaluate import EvaluateInputs, EvaluateOptions, evaluate_video
from services.renderer.render import render_video
from services.renderer.shot import RenderOptions
from shared.audio_windows import audio_windows
from shared.contracts.artifact import read_arrays, read_manifest, write_arrays, write_manifest
from shared.contracts.motion import MOTION_TABLE, MotionManifest
from shared.dataset_reader import open_dataset, read_dataset_audio
from shared.media.audio import SAMPLE_RATE
from shared.progress import silent

F32 = NDArray[np.float32]

TRANSLATOR, REGRESSOR = "speaker_translator", "speaker_regressor"
_RIDGE, _RIDGE_ROWS = 3000.0, 30
"""Penalty and rows that served ridge regression best on the held-out frames, in its favour."""
_RIDGE_ENCODERS = ("mel", "vocal_tract")
"""What our models hear too."""


class Subject(NamedTuple):
    """One capture and what is kept of it."""

    name: str
    capture: str
    holdout: float


SUBJECTS = (
    Subject("may", "may_13s_512.mp4", 3.3),
    Subject("obama", "obama_wh_30s_256_av.mp4", 6.0),
)


def main(
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")],
    footage: Annotated[Path, typer.Option(envvar="TALKSPLAT_TEST_DATA", help="Captures.")],
) -> None:
    """Print the table and keep it as motion_table.md in the folder of the runs."""
    rows = ["| subject | motion model | fitted to | LMD | of `mean_mouth` | `opening_corr` | lag |"]
    rows.append("|---|---|---|---|---|---|---|")
    for subject in SUBJECTS:
        _make_run(footage / "captures" / subject.capture, subject.holdout, runs / subject.name)
    for subject in SUBJECTS:
        for label, fitted_to, fill in _candidates(runs, subject.name):
            row = _judge(runs / subject.name, footage / "captures" / subject.capture, fill)
            rows.append(f"| {subject.name} | `{label}` | {fitted_to} | {row} |")
            sys.stdout.write(rows[-1] + "\n")
            sys.stdout.flush()
            (runs / "motion_table.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _candidates(runs: Path, name: str) -> Iterator[tuple[str, str, Callable[[Path], bool]]]:
    """Label, whom it was fitted to, and what fits it into a folder (and is a ridge or is none)."""
    own = runs / name / "dataset"
    others = [runs / each.name / "dataset" for each in SUBJECTS if each.name != name]
    yield "ridge regression", "own", lambda folder: _fit(folder, REGRESSOR, [own], is_ridge=True)
    yield REGRESSOR, "own", lambda folder: _fit(folder, REGRESSOR, [own])
    yield TRANSLATOR, "own", lambda folder: _fit(folder, TRANSLATOR, [own])
    yield TRANSLATOR, "all", lambda folder: _fit(folder, TRANSLATOR, [own, *others])
    yield TRANSLATOR, "the other", lambda folder: _fit(folder, TRANSLATOR, others)
    yield REGRESSOR, "the other", lambda folder: _fit(folder, REGRESSOR, others[:1])


def _fit(folder: Path, model: str, datasets: list[Path], *, is_ridge: bool = False) -> bool:
    fit_on_datasets(datasets, FitMotionOptions(motion_model=model), folder, silent)
    return is_ridge


def _judge(run: Path, capture: Path, fill: Callable[[Path], bool]) -> str:
    """Fit, speak, render and score one candidate; its columns."""
    work = run / "motion_table"
    shutil.rmtree(work, ignore_errors=True)
    avatar, motion, video = work / "avatar", work / "motion", work / "video"
    avatar.mkdir(parents=True)
    for path in (run / "avatar").iterdir():
        if path.name != "motion_model":
            (avatar / path.name).symlink_to(path.resolve())
    is_ridge = fill(avatar / "motion_model")
    dataset = run / "dataset"
    animate_heldout(avatar, dataset, False, motion, silent)  # noqa: FBT003 - spoken
    if is_ridge:
        _replace_face(motion, _ridge_face(dataset))
    render_video(avatar, motion, RenderOptions(), video, silent, dataset=dataset)
    judged = EvaluateInputs(video, capture, None, dataset)
    scores = evaluate_video(judged, EvaluateOptions(label="spoken"), work / "scores", silent).scores
    lmd, opening = scores["lmd"], scores["opening_corr"]
    share = (lmd.value or 0.0) / lmd.baselines["mean_mouth"]
    lag = opening.details.get("lag_frames", float("nan"))
    return f"{lmd.value:.2f} px | {share:.3f} | {opening.value or 0:.3f} | {lag:.0f}"


def _ridge_face(dataset: Path) -> F32:
    """Coefficients of the held-out frames by linear ridge regression. [T, P]"""
    tracked = open_dataset(dataset)
    manifest, audio = tracked.manifest, read_dataset_audio(tracked)
    assert audio is not None
    audio = audio[: round(manifest.n_frames / manifest.fps * SAMPLE_RATE)]
    windows = np.concatenate(
        [
            audio_windows(
                name, audio, n_rows=_RIDGE_ROWS, fps=manifest.fps, n_frames=manifest.n_frames
            ).reshape(manifest.n_frames, -1)
            for name in _RIDGE_ENCODERS
        ],
        axis=1,
    )
    n = manifest.n_train
    normal = (windows - windows[:n].mean(axis=0)) / (windows[:n].std(axis=0) + 1e-6)
    truth = coefficients_of(motion_tracks(tracked.tracking))[:n]
    mean = truth.mean(axis=0)
    weights = np.linalg.solve(normal[:n] @ normal[:n].T + _RIDGE * np.eye(n), truth - mean)
    return np.asarray(normal[n:] @ normal[:n].T @ weights + mean, np.float32)


def _replace_face(motion: Path, coefficients: F32) -> None:
    manifest = read_manifest(motion, MotionManifest)
    arrays = read_arrays(motion / "motion.npz", MOTION_TABLE)
    faces = {
        name: np.ascontiguousarray(track)
        for name, track in split_coefficients(coefficients).items()
    }
    write_arrays(motion / "motion.npz", arrays | faces, MOTION_TABLE)
    write_manifest(motion, manifest)


def _make_run(capture: Path, holdout: float, out: Path) -> None:
    """The whole flow, unless its avatar is there."""
    if (out / "avatar" / "manifest.json").is_file():
        return
    words = ["run", "--capture", capture, "--holdout", holdout, "--out", out, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "services.embedded.cli", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)


if __name__ == "__main__":
    typer.run(main)
