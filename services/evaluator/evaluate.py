"""Video -> scores: every figure of ``metrics/`` and of ``artefacts.py``, and a report to read."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.evaluator.artefacts import DESCRIPTIONS, artefact_scores, read_counts
from services.evaluator.curves import gather_curves, stored_curves
from services.evaluator.gather import PairMetrics, Sight, look
from services.evaluator.learned import identity_of, lip_sync_of, load_learned
from services.evaluator.looked import Looked
from services.evaluator.metric import (
    Evidence,
    FaceTrack,
    Measure,
    RegionMetric,
    mean_score,
    unavailable,
)
from services.evaluator.region_masks import region_masks, region_score
from services.evaluator.report import Definition, Report, write_report
from services.evaluator.showing import show
from services.evaluator.supplied import read_action_units, read_expressions
from shared.contracts.artifact import MANIFEST, TIMING, read_manifest, write_manifest
from shared.contracts.scores import Score, ScoresManifest
from shared.contracts.tracked_dataset import FPS
from shared.contracts.video import VideoManifest
from shared.dataset_reader import TrackedDataset, open_dataset
from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, fit_length, read_audio
from shared.media.video import probe_video
from shared.plugins import load_plugin, plugin_names
from shared.progress import Progress, part_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

METRICS = "services.evaluator.metrics"


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
    models_dir: Path | None = None
    """Where the operator's weights lie; None computes nothing that needs any."""
    min_quality: dict[str, float] = {}
    """Bars by metric: least value where higher is better, greatest where lower is."""


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
    motion: Path | None = None
    """What drove the video; with ``dataset``, compared with what was tracked in its frames."""
    openface: Path | None = None
    """OpenFace's table of the video's frames."""
    reference_openface: Path | None = None
    """OpenFace's table of the same frames of the capture."""


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
    pairwise = load_learned(_of_kind(modules, "learned"), options.models_dir)
    pictures = {name: each.compare for name, each in _of_kind(modules, "picture").items()}
    sight = look(
        subject.file,
        reference,
        PairMetrics(pictures | pairwise.compare, _of_kind(modules, "region")),
        tracker,
        part_of(progress, 0.0, 0.7),
        labels=region_masks(dataset, first) if dataset else None,
    )
    if not len(sight.video.landmarks):
        raise InvalidInput("unreadable_media", f"{subject.file.name} has no frames")
    evidence = gather_evidence(
        inputs,
        subject,
        sight,
        dataset,
        models_dir=options.models_dir,
        progress=part_of(progress, 0.7, 0.8),
    )
    scores = score_all(modules, sight, evidence, pairwise.unavailable)
    scores |= artefact_scores(subject.counts, sight.video, sight.reference)
    n_compared = len(sight.reference.landmarks) if sight.reference else len(sight.video.landmarks)
    manifest = ScoresManifest(video=options.label, n_frames=n_compared, scores=scores)
    curves = gather_curves(sight, evidence)
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "curves.npz", **stored_curves(curves))
    seen = Looked(subject.file, reference, sight, evidence.audio)
    shown = show(seen, curves, out, part_of(progress, 0.8, 0.98))
    write_report(
        out / "report.html",
        Report(
            title=options.label,
            notes=options.notes,
            size=sight.video_size,
            manifest=manifest,
            definitions=definitions(modules),
            curves=curves,
            shown=shown,
            stage_seconds=options.stage_seconds,
        ),
    )
    (out / "scores.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_manifest(out, manifest)
    progress(1.0, "scored")
    return manifest


def gather_evidence(
    inputs: EvaluateInputs,
    subject: Subject,
    sight: Sight,
    dataset: TrackedDataset | None,
    *,
    models_dir: Path | None,
    progress: Progress,
) -> Evidence:
    """Everything that track metrics may look at."""
    first = dataset.manifest.n_train if dataset else 0
    reference = None if inputs.reference is None else (inputs.reference, first)
    audio = read_speech(inputs.audio, subject.file, len(sight.video.landmarks))
    looked = Looked(subject.file, reference, sight, audio)
    lip_sync = lip_sync_of(looked, models_dir, progress)
    ours, truth = inputs.openface, inputs.reference_openface
    return Evidence(
        fps=FPS,
        video=sight.video,
        reference=sight.reference,
        training=training_track(dataset) if dataset else None,
        audio=audio,
        render_seconds=subject.render_seconds,
        lip_sync=lip_sync.video,
        reference_lip_sync=lip_sync.reference,
        identity=identity_of(looked, models_dir),
        action_units=read_action_units(ours, truth) if ours and truth else None,
        expressions=read_expressions(inputs.motion, dataset) if inputs.motion and dataset else None,
    )


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


def score_all(
    modules: dict[str, ModuleType],
    sight: Sight,
    evidence: Evidence,
    not_loaded: Mapping[str, str],
) -> dict[str, Score]:
    """All metrics by name; ``not_loaded`` has why learned ones cannot be computed."""
    scores: dict[str, Score] = {}
    for name, module in modules.items():
        if module.KIND == "track":
            scores[name] = module.score(evidence)
            continue
        if module.KIND == "region":
            scores[name] = region_score(cast(RegionMetric, module), sight.regions.get(name))
            continue
        measure = Measure(module.UNIT, module.HIGHER_IS_BETTER)
        if reason := sight.not_compared or not_loaded.get(name):
            scores[name] = unavailable(measure, reason)
        else:
            scores[name] = mean_score(sight.pictures[name], measure, baselines={}, details={})
    return scores


def _of_kind(modules: dict[str, ModuleType], kind: str) -> dict[str, Any]:
    """Metrics of one kind, which their modules keep (conformance tests hold them to it)."""
    return {name: each for name, each in modules.items() if kind == each.KIND}


def definitions(modules: Mapping[str, ModuleType]) -> dict[str, Definition]:
    """What each figure is, from its file; of the artefacts, from their own words."""
    found = {
        name: Definition(first_sentence(each), each.RANGE, each.SOURCE)
        for name, each in modules.items()
    }
    return found | {name: Definition(text, (0.0, None), "") for name, text in DESCRIPTIONS.items()}


def first_sentence(module: ModuleType) -> str:
    """What a metric is, from its file's first lines."""
    return " ".join((module.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
