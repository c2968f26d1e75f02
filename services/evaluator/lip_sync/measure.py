"""A video's lip-sync figures by SyncNet, from its frames and its sound."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.evaluator.lip_sync.detection import Survey, survey_with_mesh, survey_with_s3fd
from services.evaluator.lip_sync.distances import SyncDistances, sync_distances
from services.evaluator.lip_sync.face_tracks import (
    MIN_DETECTIONS,
    MIN_FACE_PX,
    FaceTrack,
    cut_face,
    link_faces,
    smooth_places,
)
from services.evaluator.lip_sync.mfcc import N_CEPSTRA, sync_mfcc
from services.evaluator.networks import s3fd, syncnet
from services.evaluator.networks.s3fd import S3FD
from services.evaluator.networks.syncnet import MFCC_WINDOW, WINDOW, SyncNet
from services.evaluator.networks.weight_file import load_network
from shared.contracts.tracked_dataset import FPS
from shared.errors import MissingModel
from shared.media.audio import SAMPLE_RATE

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

FRAME_SAMPLES = SAMPLE_RATE // FPS
_BATCH = 20
_COLUMNS_PER_FRAME = 4


class LipSyncModels(NamedTuple):
    """What measuring needs."""

    network: SyncNet
    detector: S3FD | None
    """None has MediaPipe's mesh find the faces."""


class LipSync(NamedTuple):
    """SyncNet's figures of a video's longest face track."""

    distances: SyncDistances
    detector: str
    """What found the faces: ``S3FD`` or ``MediaPipe face mesh``."""
    first_frame: int
    """Where the track begins."""
    n_frames: int
    """Its length."""
    n_tracks: int
    """Face tracks of the video."""


def load_models(models_dir: Path) -> LipSyncModels:
    """Load SyncNet, and S3FD where its file is there.

    Raises:
        MissingModel: ``missing_model_file`` without SyncNet.
        InvalidInput: ``bad_model_file``.
    """
    network = load_network(SyncNet(), models_dir, syncnet.FILE)
    try:
        return LipSyncModels(network, load_network(S3FD(), models_dir, s3fd.FILE))
    except MissingModel:
        return LipSyncModels(network, None)


def measure_lip_sync(
    read: Callable[[], Iterable[U8]], audio: F32, landmarks: F32, models: LipSyncModels
) -> LipSync | str:
    """Score the longest face track; why there is no score where there is none.

    Args:
        read: Opens the video at 25 fps; called twice. RGB [H, W, 3]
        audio: 16 kHz mono on the video's clock. [n]
        landmarks: MediaPipe's, used without S3FD. [T, 478, 3] px
        models: See ``load_models``.
    """
    survey = _survey(read(), landmarks, models)
    tracks = link_faces(survey.faces, survey.shots)
    if not tracks:
        return (
            f"no face of more than {MIN_FACE_PX:.0f} pixels is seen in more than "
            f"{MIN_DETECTIONS} frames of one shot"
        )
    track = max(tracks, key=lambda each: len(each.boxes))
    start = track.first * FRAME_SAMPLES
    sound = audio[start : start + len(track.boxes) * FRAME_SAMPLES]
    n_windows = min(len(track.boxes), len(sound) // FRAME_SAMPLES) - WINDOW
    if n_windows < 1:
        return "the sound ends before the face is seen"
    lips = embed_lips(models.network, _faces(read(), track), n_windows)
    distances = sync_distances(lips, embed_sound(models.network, sound, n_windows))
    return LipSync(
        distances=distances,
        detector="S3FD" if models.detector else "MediaPipe face mesh",
        first_frame=track.first,
        n_frames=len(track.boxes),
        n_tracks=len(tracks),
    )


@torch.inference_mode()
def embed_lips(network: SyncNet, faces: Iterable[U8], n_windows: int) -> Tensor:
    """Embeddings of the first windows of five consecutive faces. RGB 224x224 -> [n, 1024]"""
    held: list[Tensor] = []
    embedded: list[Tensor] = []
    n_done = 0
    for face in faces:
        held.append(torch.from_numpy(face[..., ::-1].copy()).permute(2, 0, 1).float())  # BGR
        n_ready = len(held) - WINDOW + 1
        if n_ready == min(_BATCH, n_windows - n_done):
            embedded.append(network.embed_lips(torch.stack(held)))
            held = held[n_ready:]
            n_done += n_ready
            if n_done == n_windows:
                break
    return torch.cat(embedded)


@torch.inference_mode()
def embed_sound(network: SyncNet, sound: F32, n_windows: int) -> Tensor:
    """Embeddings of the 0.2 s from each frame on. [n, 1024]"""
    cepstra = torch.from_numpy(sync_mfcc(sound))  # [13, N]
    windows = cepstra.unfold(1, MFCC_WINDOW, _COLUMNS_PER_FRAME)[:, :n_windows]
    batch = windows.transpose(0, 1).reshape(-1, 1, N_CEPSTRA, MFCC_WINDOW)
    return torch.cat([network.embed_sound(part) for part in batch.split(_BATCH)])


def _survey(frames: Iterable[U8], landmarks: F32, models: LipSyncModels) -> Survey:
    if models.detector is None:
        return survey_with_mesh(frames, landmarks)
    return survey_with_s3fd(frames, models.detector)


def _faces(frames: Iterable[U8], track: FaceTrack) -> Iterator[U8]:
    """The track's face in each of its frames."""
    places = smooth_places(track)
    for number, frame in enumerate(frames):
        index = number - track.first
        if index >= len(track.boxes):
            return
        if index >= 0:
            x, y, half = (float(values[index]) for values in places)
            yield cut_face(frame, x, y, half, syncnet.FACE_PX)
