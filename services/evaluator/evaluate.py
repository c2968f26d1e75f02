"""Video -> scores: every figure of ``metrics/`` and of ``artefacts.py``, and a report to read."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.evaluator.artefacts import DESCRIPTIONS, artefact_scores, read_counts
from services.evaluator.baselines import lip_distance, lips_of
from services.evaluator.face_crop import Square, face_square, mid_square
from services.evaluator.gather import PairMetrics, Sight, look, reference_frames
from services.evaluator.metric import (
    Evidence,
    FaceTrack,
    Measure,
    RegionMetric,
    mean_score,
    paired,
    unavailable,
)
from services.evaluator.region_masks import region_masks, region_score
from services.evaluator.report import Curves, Report, write_report
from services.evaluator.strips import Pictures, Strip, fetch, speech_cells, worst_second
from shared.contracts.artifact import MANIFEST, TIMING, read_manifest, write_manifest
from shared.contracts.scores import Score, ScoresManifest
from shared.contracts.tracked_dataset import FPS
from shared.contracts.video import VideoManifest
from shared.dataset_reader import TrackedDataset, open_dataset
from shared.errors import InvalidInput
from shared.landmarks import mouth_opening
from shared.media.audio import SAMPLE_RATE, fit_length, read_audio
from shared.media.video import probe_video, read_frames
from shared.plugins import load_plugin, plugin_names
from shared.progress import Progress, part_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

METRICS = "services.evaluator.metrics"
QUIET_DB = -45.0
"""Loudness below it is drawn as silence."""
FACE_MARGIN = 1.25


class EvaluateOptions(BaseModel):
    """Choices for one evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    label: str = "video"
    """What is judged, for example ``heldout (spoken)``; the report's title."""
    tracker: str = "mediapipe_mesh"
    """Registry name of the landmark tracker, used on both videos."""
    stage_seconds: dict[str, float] = {}
    """How long the stages before took, for the report."""
    notes: list[str] = []
    """Sentences that the report shows under its title."""


class EvaluateInputs(NamedTuple):
    """Where to look; None is what there is not."""

    video: Path
    """A video artifact's folder, or any video file."""
    reference: Path | None = None
    """The capture. With ``dataset``, its held-out part is compared, else all from its start."""
    audio: Path | None = None
    """The speech, where the video's own sound shall not be used."""
    dataset: Path | None = None
    """Tracked dataset: where the held-out part begins, and the training frames' mouths."""


class Subject(NamedTuple):
    """The opened video."""

    file: Path
    render_seconds: float | None
    counts: dict[str, F64]
    """The renderer's artefact counts."""


def evaluate_video(
    inputs: EvaluateInputs, options: EvaluateOptions, out: Path, progress: Progress
) -> ScoresManifest:
    """Score a video and write scores, curves and report into ``out``.

    Raises:
        InvalidInput: what cannot be decoded, or a reference that ends before the held-out part.
    """
    subject = open_subject(inputs.video)
    dataset = None if inputs.dataset is None else open_dataset(inputs.dataset)
    first = dataset.manifest.n_train if dataset else 0
    reference = None if inputs.reference is None else (inputs.reference, first)
    modules = {name: load_plugin(METRICS, name) for name in plugin_names(METRICS)}
    tracker = load_plugin("shared.trackers", options.tracker)
    sight = look(
        subject.file,
        reference,
        PairMetrics(_of_kind(modules, "picture"), _of_kind(modules, "region")),
        tracker,
        part_of(progress, 0.0, 0.8),
        labels=region_masks(dataset, first) if dataset else None,
    )
    if not len(sight.video.landmarks):
        raise InvalidInput("unreadable_media", f"{subject.file.name} has no frames")
    evidence = Evidence(
        fps=FPS,
        video=sight.video,
        reference=sight.reference,
        training=training_track(dataset) if dataset else None,
        audio=read_speech(inputs.audio, subject.file, len(sight.video.landmarks)),
        render_seconds=subject.render_seconds,
    )
    scores = score_all(modules, sight, evidence)
    scores |= artefact_scores(subject.counts, sight.video, sight.reference)
    n_compared = len(sight.reference.landmarks) if sight.reference else len(sight.video.landmarks)
    manifest = ScoresManifest(video=options.label, n_frames=n_compared, scores=scores)
    curves = gather_curves(sight, evidence)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "curves.npz", **{k: v for k, v in curves._asdict().items() if v is not None})
    strips = fetch_strips(subject.file, reference, sight, curves, part_of(progress, 0.8, 0.98))
    descriptions = {name: first_sentence(each) for name, each in modules.items()} | DESCRIPTIONS
    write_report(
        out / "report.html",
        Report(
            title=options.label,
            notes=options.notes,
            size=sight.video_size,
            manifest=manifest,
            descriptions=descriptions,
            curves=curves,
            strips=strips,
            stage_seconds=options.stage_seconds,
        ),
    )
    (out / "scores.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_manifest(out, manifest)
    progress(1.0, "scored")
    return manifest


def open_subject(video: Path) -> Subject:
    """Open a video file, or a video artifact with what its renderer recorded."""
    if not (video / MANIFEST).is_file():
        return Subject(video, None, {})
    manifest = read_manifest(video, VideoManifest)
    seconds: float | None = None
    if (video / TIMING).is_file():
        try:
            seconds = float(json.loads((video / TIMING).read_text("utf-8"))["render_seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput("bad_timing", f"{TIMING} is damaged: {error!r}") from error
    return Subject(video / Path(manifest.file).name, seconds, read_counts(video / "artefacts.json"))


def training_track(dataset: TrackedDataset) -> FaceTrack:
    """The dataset's training landmarks in capture pixels; NaN where a frame was rejected."""
    n_train = dataset.manifest.n_train
    tracking = dataset.tracking
    crops = np.asarray(tracking["crops"][:n_train], dtype=np.float32)  # [T, 3]
    scale = crops[:, None, 2:] / dataset.manifest.crop_size
    landmarks = np.asarray(tracking["landmarks"][:n_train], dtype=np.float32) * scale
    landmarks[..., :2] += crops[:, None, :2]
    landmarks[~np.asarray(tracking["is_valid"][:n_train], dtype=bool)] = np.nan
    return FaceTrack(landmarks, dataset.manifest.capture_height)


def read_speech(audio: Path | None, video: Path, n_frames: int) -> F32 | None:
    """The sound on the video's clock, 16 kHz mono, as long as the video; None without any."""
    info = probe_video(video)
    if audio is not None:
        samples = read_audio(audio)
    elif info.has_audio:
        samples = read_audio(video, start_s=info.start_s)
    else:
        return None
    return fit_length(samples, n_frames * SAMPLE_RATE // FPS)


def score_all(modules: dict[str, ModuleType], sight: Sight, evidence: Evidence) -> dict[str, Score]:
    """All metrics by name."""
    scores: dict[str, Score] = {}
    for name, module in modules.items():
        if module.KIND == "track":
            scores[name] = module.score(evidence)
            continue
        if module.KIND == "region":
            scores[name] = region_score(cast(RegionMetric, module), sight.regions.get(name))
            continue
        measure = Measure(module.UNIT, module.HIGHER_IS_BETTER)
        if sight.not_compared:
            scores[name] = unavailable(measure, sight.not_compared)
        else:
            scores[name] = mean_score(sight.pictures[name], measure, baselines={}, details={})
    return scores


def _of_kind(modules: dict[str, ModuleType], kind: str) -> dict[str, Any]:
    """Metrics of one kind, which their modules keep (conformance tests hold them to it)."""
    return {name: each for name, each in modules.items() if kind == each.KIND}


def gather_curves(sight: Sight, evidence: Evidence) -> Curves:
    """Per-frame values that the report draws."""
    n_frames = len(sight.video.landmarks)
    lips: F64 | None = None
    opening: F64 | None = None
    if sight.reference is not None:
        preds, target = paired(sight.video, sight.reference)
        lips = lip_distance(lips_of(preds), lips_of(target))
        opening = mouth_opening(sight.reference.landmarks).astype(np.float64)
    return Curves(
        opening=mouth_opening(sight.video.landmarks).astype(np.float64),
        reference_opening=opening,
        loudness=None if evidence.audio is None else frame_loudness(evidence.audio, n_frames),
        psnr=None if sight.not_compared else sight.pictures.get("psnr"),
        ssim=None if sight.not_compared else sight.pictures.get("ssim"),
        lip_distance=lips,
    )


def frame_loudness(audio: F32, n_frames: int) -> F64:
    """Loudness of each frame's sound, 0 (silence) to 1 (the loudest frame). [T]"""
    hop = SAMPLE_RATE // FPS
    power = np.square(audio[: n_frames * hop].reshape(n_frames, hop).astype(np.float64)).mean(1)
    level = 10 * np.log10(power / max(float(power.max()), 1e-10) + 1e-10)
    return np.asarray(np.clip(1 - level / QUIET_DB, 0, 1))


def fetch_strips(
    video: Path,
    reference: tuple[Path, int] | None,
    sight: Sight,
    curves: Curves,
    progress: Progress,
) -> dict[str, Pictures]:
    """Pictures of the face at speech peaks and pauses, and of all of the worst second.

    Without figures to find the worst by, all of the picture is shown at peaks and pauses.
    """
    progress(0.0, "cutting strips")
    sides = [(sight.video, sight.video_size), (sight.reference, sight.reference_size)]
    faces: list[Square | None] = []
    wholes: list[Square | None] = []
    for track, size in sides:
        whole = mid_square(*size) if size else None
        face = face_square(track.landmarks, FACE_MARGIN) if track else None
        wholes.append(whole)
        faces.append(face or whole)
    activity = curves.opening if curves.loudness is None else curves.loudness
    n_paired = min(len(each.landmarks) for each, _ in sides if each is not None)
    strips: dict[str, Strip] = {}
    cells = speech_cells(np.nan_to_num(activity[:n_paired]), FPS)
    if faces[0] is not None:
        strips["speech"] = Strip(cells, faces[0], faces[1])
    if curves.psnr is not None and wholes[0] is not None:
        strips["worst"] = Strip(worst_second(curves.psnr, FPS), wholes[0], wholes[1])
    elif wholes[0] is not None:
        strips["whole"] = Strip(cells, wholes[0], wholes[1])
    frames = reference_frames(*reference) if reference else iter(())
    found = fetch(strips, read_frames(video, FPS), frames)
    progress(1.0, "cutting strips")
    return found


def first_sentence(module: ModuleType) -> str:
    """What a metric is, from its file's first lines."""
    return " ".join((module.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
