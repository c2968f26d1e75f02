"""Figures that need an operator's weights: computed with them, else their absence is told."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from services.evaluator.gather import reference_frames
from services.evaluator.lip_sync.measure import LipSync, load_models, measure_lip_sync
from services.evaluator.looked import Looked
from services.evaluator.metric import Compare
from services.evaluator.networks import arcface
from services.evaluator.networks.arcface import ArcFace, align_face
from services.evaluator.networks.weight_file import load_network
from shared.contracts.tracked_dataset import FPS
from shared.errors import MissingModel
from shared.media.video import read_frames
from shared.progress import Progress, part_of

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
NO_FOLDER = "no folder of model files was given"

_FACES = 25
"""Pairs of faces whose identity is compared, evenly over the video."""


class LearnedMetrics(NamedTuple):
    """Learned metrics on pairs of frames."""

    compare: dict[str, Compare]
    unavailable: dict[str, str]
    """Why a metric cannot be computed, by name."""


class LipSyncPair(NamedTuple):
    """SyncNet on the video and on its reference, under the same sound; or why not."""

    video: LipSync | str
    reference: LipSync | str


def load_learned(modules: Mapping[str, ModuleType], models_dir: Path | None) -> LearnedMetrics:
    """Load what has its files.

    Raises:
        InvalidInput: ``bad_model_file`` for a file that is not as published.
    """
    found = LearnedMetrics({}, {})
    if models_dir is None:
        return LearnedMetrics({}, dict.fromkeys(modules, NO_FOLDER))
    for name, module in modules.items():
        try:
            found.compare[name] = module.load(models_dir)
        except MissingModel as error:
            found.unavailable[name] = error.message
    return found


def lip_sync_of(looked: Looked, models_dir: Path | None, progress: Progress) -> LipSyncPair:
    """Run SyncNet on both videos, each of which is read twice.

    Raises:
        InvalidInput: ``bad_model_file``.
    """
    if looked.audio is None or models_dir is None:
        reason = "the video has no sound" if looked.audio is None else NO_FOLDER
        return LipSyncPair(reason, reason)
    try:
        models = load_models(models_dir)
    except MissingModel as error:
        return LipSyncPair(error.message, error.message)
    judged, truth = looked.sight.video.landmarks, looked.sight.reference
    video = measure_lip_sync(
        _frames_of((looked.video, 0), len(judged), part_of(progress, 0.0, 0.5)),
        looked.audio,
        judged,
        models,
    )
    if looked.reference is None or truth is None:
        return LipSyncPair(video, "there is no reference video")
    reference = measure_lip_sync(
        _frames_of(looked.reference, len(truth.landmarks), part_of(progress, 0.5, 1.0)),
        looked.audio,
        truth.landmarks,
        models,
    )
    return LipSyncPair(video, reference)


def _frames_of(
    source: tuple[Path, int], n_frames: int, progress: Progress
) -> Callable[[], Iterator[U8]]:
    """What opens a video, and tells how far two readings of it are."""
    n_read = 0

    def read() -> Iterator[U8]:
        nonlocal n_read
        for frame in islice(reference_frames(*source), n_frames):
            progress(min(1.0, n_read / (2 * n_frames)), "measuring lip sync")
            n_read += 1
            yield frame

    return read


def identity_of(looked: Looked, models_dir: Path | None) -> F64 | str:
    """Cosine similarity of faces, one for each pair looked at; NaN where one shows none.

    Raises:
        InvalidInput: ``bad_model_file``.
    """
    truth = looked.sight.reference
    if looked.reference is None or truth is None:
        return "there is no reference video to compare the face with"
    if models_dir is None:
        return NO_FOLDER
    try:
        network = load_network(ArcFace(), models_dir, arcface.FILE)
    except MissingModel as error:
        return error.message
    judged = looked.sight.video.landmarks
    n_frames = min(len(judged), len(truth.landmarks))
    chosen = set(np.linspace(0, n_frames - 1, min(_FACES, n_frames)).round().astype(int).tolist())
    embed = _embedder(network)
    return _similarity(
        list(embed(_at(read_frames(looked.video, FPS), judged, chosen))),
        list(embed(_at(reference_frames(*looked.reference), truth.landmarks, chosen))),
    )


def _at(frames: Iterator[U8], landmarks: F32, chosen: set[int]) -> Iterator[tuple[U8, F32]]:
    for number, frame in enumerate(islice(frames, max(chosen, default=-1) + 1)):
        if number in chosen:
            yield frame, landmarks[number]


def _embedder(
    network: ArcFace,
) -> Callable[[Iterator[tuple[U8, F32]]], Iterator[F64 | None]]:
    """Turns frames into embeddings of unit length; None without a face. -> [512] each"""

    @torch.inference_mode()
    def embed(found: Iterator[tuple[U8, F32]]) -> Iterator[F64 | None]:
        for frame, landmarks in found:
            if not np.isfinite(landmarks).all():
                yield None
                continue
            face = torch.from_numpy(align_face(frame, landmarks)).float()
            embedding = network((face / 127.5 - 1).permute(2, 0, 1)[None])[0]
            yield (embedding / embedding.norm()).double().numpy()

    return embed


def _similarity(video: list[F64 | None], reference: list[F64 | None]) -> F64:
    return np.array(
        [
            np.nan if a is None or b is None else float(a @ b)
            for a, b in zip(video, reference, strict=True)
        ]
    )
