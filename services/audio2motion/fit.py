"""Tracked datasets to motion model: learns how subjects move when speaking."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from services.audio2motion.emotions import EMOTIONS_FILE, read_emotions
from services.audio2motion.heldout_report import write_heldout_report
from services.audio2motion.motion_model import (
    Fitting,
    MotionModel,
    SpokenCapture,
    TrainedMotionModel,
    load_motion_model,
)
from services.audio2motion.mouth import Mouth, measure_lips, measure_mouth, write_mouth
from services.audio2motion.tracks import (
    coefficients_of,
    frames_of,
    motion_tracks,
    pose_deviations,
)
from services.audio2motion.voice_activity import PAUSE_S, voice_activity
from shared.contracts.artifact import write_manifest
from shared.contracts.motion_model import MotionModelManifest
from shared.dataset_reader import TrackedDataset, open_dataset, read_dataset_audio
from shared.errors import InvalidInput
from shared.head_model import load_head_model
from shared.media.audio import SAMPLE_RATE, fit_length
from shared.progress import Progress, part_of

F32 = NDArray[np.float32]

MIN_SECONDS = 3.0
MIN_SPEECH_SECONDS = 1.5
MIN_LIP_MOTION_M = 2e-4
"""Deviation of the lips; speech moves them ten times as much."""


class FitMotionOptions(BaseModel):
    """Choices of ``fit_motion_model``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    motion_model: str = "speaker_regressor"
    """Registry name of the motion model."""
    audio_encoder: str | None = None
    """Registry names of the audio encoders to listen through, joined by "+"; None leaves it to
    the model."""
    max_steps: int | None = Field(default=None, ge=0)
    """Optimizer steps of a model that is trained step by step; None leaves it to the model."""
    seed: int = 0
    """Seed of everything random in the fit."""


class Listened(NamedTuple):
    """One dataset, its training frames and its mouth."""

    tracked: TrackedDataset
    shown: SpokenCapture
    mouth: Mouth


def fit_motion_model(
    dataset: Path, options: FitMotionOptions, out: Path, progress: Progress
) -> MotionModelManifest:
    """Fit ``options.motion_model`` to one dataset; see ``fit_on_datasets``."""
    return fit_on_datasets([dataset], options, out, progress)


def fit_on_datasets(
    datasets: Sequence[Path], options: FitMotionOptions, out: Path, progress: Progress
) -> MotionModelManifest:
    """Fit ``options.motion_model`` to the training frames of all datasets.

    Held-out frames are unread until the model is fitted; then it speaks them, and
    ``heldout.json`` tells how well. A training that was stopped goes on where it was.

    Raises:
        InvalidInput: ``no_audio`` a dataset has no sound; ``no_speech`` too little of it is
            speech; ``too_short`` too few valid training frames; ``still_mouth`` the mouth does
            not move; ``one_capture_only`` the model cannot learn from several, or through an
            encoder of choice; ``motion_incompatible`` the datasets differ in head model or rate;
            ``bad_emotions`` and ``no_emotion_labels`` for what datasets say of emotions.
    """
    model = load_motion_model(options.motion_model)
    torch.manual_seed(options.seed)
    progress(0.02, "measuring the mouth")
    heard = [_listen(dataset) for dataset in datasets]
    _check_alike(heard)
    out.mkdir(parents=True, exist_ok=True)
    encoders = _fit(
        model, [each.shown for each in heard], options, out, part_of(progress, 0.1, 0.9)
    )
    means = np.stack([each.mouth.mean for each in heard])
    write_mouth(out, heard[0].mouth._replace(mean=means.mean(axis=0)))
    manifest = heard[0].tracked.manifest
    others = [each.tracked.manifest.capture_sha256 for each in heard[1:]]
    fitted = MotionModelManifest(
        motion_model=options.motion_model,
        audio_encoder="+".join(encoders),
        head_model=manifest.head_model,
        expression_names=manifest.expression_names,
        fps=manifest.fps,
        n_frames=sum(int(each.shown.is_valid.sum()) for each in heard),
        capture_sha256=manifest.capture_sha256,
        other_captures=tuple(other for other in others if other != manifest.capture_sha256),
        max_steps=options.max_steps,
        seed=options.seed,
    )
    write_manifest(out, fitted)
    write_heldout_report(out, [each.tracked for each in heard], part_of(progress, 0.9, 1.0))
    write_manifest(out, fitted)  # again, now that the report is there
    return fitted


def _fit(
    model: MotionModel,
    captures: list[SpokenCapture],
    options: FitMotionOptions,
    out: Path,
    progress: Progress,
) -> tuple[str, ...]:
    """Write the model's own files; the audio encoders it listens through."""
    if isinstance(model, TrainedMotionModel):
        encoders = None if options.audio_encoder is None else options.audio_encoder.split("+")
        fitting = Fitting(
            seed=options.seed,
            audio_encoders=None if encoders is None else tuple(encoders),
            n_steps=options.max_steps,
            checkpoints=out / "checkpoints",
        )
        listened = model.fit_captures(captures, fitting, out=out, progress=progress)
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return listened
    if len(captures) > 1 or options.audio_encoder is not None or options.max_steps is not None:
        raise InvalidInput(
            "one_capture_only",
            f"{options.motion_model} is fitted to one capture, through its own encoders, at once; "
            "speaker_translator takes several, --audio-encoder and --max-steps",
        )
    model.fit(captures[0], seed=options.seed, out=out, progress=progress)
    return model.AUDIO_ENCODERS


def _listen(dataset: Path) -> Listened:
    """Training frames of a dataset and the limits of its subject's mouth."""
    tracked = open_dataset(dataset)
    shown, shape = _training_frames(tracked)
    valid = shown.coefficients[shown.is_valid]
    head_model = load_head_model(dataset / "head_model.npz")
    lips = measure_lips(head_model, shape, valid.mean(axis=0))
    _check_mouth_moves(valid, lips.effect)
    activity = voice_activity(shown.audio, shown.fps, len(shown.coefficients), shortest_s=PAUSE_S)
    mouth = measure_mouth(lips, valid, activity[shown.is_valid] == 0)
    return Listened(tracked, shown._replace(lip_effect=lips.effect), mouth)


def _check_alike(heard: Sequence[Listened]) -> None:
    first = heard[0].tracked.manifest
    for each in heard[1:]:
        other = each.tracked.manifest
        if (first.head_model, first.expression_names) != (other.head_model, other.expression_names):
            raise InvalidInput(
                "motion_incompatible",
                f"{each.tracked.folder} is tracked with {other.head_model}, "
                f"{heard[0].tracked.folder} with {first.head_model}; "
                "preprocess all captures with one head model",
            )


def _training_frames(tracked: TrackedDataset) -> tuple[SpokenCapture, F32]:
    """What the capture shows before the split, without its lips' effect, and its neutral shape."""
    manifest = tracked.manifest
    audio = read_dataset_audio(tracked)
    if audio is None:
        raise InvalidInput(
            "no_audio",
            f"{tracked.folder} has no sound to learn speaking from; "
            "capture with a microphone, or animate with the motion model of another capture",
        )
    frames = slice(0, manifest.n_train)
    # Sound of the held-out frames is cut off, so that nothing can be learned from it.
    audio = fit_length(audio, round(manifest.n_train / manifest.fps * SAMPLE_RATE))
    is_valid = tracked.tracking["is_valid"][frames].astype(np.bool_)
    _check_enough(is_valid, audio, manifest.fps)
    tracks = frames_of(motion_tracks(tracked.tracking), frames)
    coefficients = coefficients_of(tracks)
    labels = tracked.folder / EMOTIONS_FILE
    shown = SpokenCapture(
        audio=audio,
        coefficients=coefficients,
        pose=pose_deviations(tracks, tracks),
        is_valid=is_valid,
        lip_effect=np.zeros((coefficients.shape[1], 0, 3), np.float32),
        fps=manifest.fps,
        speaker=manifest.capture_sha256,
        emotions=read_emotions(labels) if labels.is_file() else (),
        expression_names=tuple(manifest.expression_names),
    )
    return shown, tracked.tracking["shape"].astype(np.float32)


def _check_enough(is_valid: NDArray[np.bool_], audio: F32, fps: int) -> None:
    seconds = float(is_valid.sum()) / fps
    if seconds < MIN_SECONDS:
        raise InvalidInput(
            "too_short",
            f"{seconds:.1f} s of valid training frames, at least {MIN_SECONDS:.0f} s are needed; "
            "10 s and more make a good motion model",
        )
    spoken = float(voice_activity(audio, fps, len(is_valid)).sum()) / fps
    if spoken < MIN_SPEECH_SECONDS:
        raise InvalidInput(
            "no_speech",
            f"{spoken:.1f} s of the capture's sound is loud enough to be speech, at least "
            f"{MIN_SPEECH_SECONDS:.1f} s are needed; capture the person speaking",
        )


def _check_mouth_moves(coefficients: F32, lip_effect: F32) -> None:
    moved = np.linalg.norm(
        np.einsum("p,plc->lc", coefficients.std(axis=0), np.abs(lip_effect)), axis=1
    )
    if float(moved.max()) < MIN_LIP_MOTION_M:
        raise InvalidInput(
            "still_mouth",
            f"the lips move {1e3 * float(moved.max()):.2f} mm in the capture; "
            "there is nothing to learn speaking from",
        )
