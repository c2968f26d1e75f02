"""Finds the faces that tracks are made of: by S3FD where its file is there, else by MediaPipe."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.evaluator.lip_sync.face_tracks import overlap
from services.evaluator.networks.s3fd import MEANS_RGB, S3FD
from shared.landmarks import FACE_OVAL

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PICTURE_SCALE = 0.25
MIN_SCORE = 0.9
_OVERLAPS = (0.3, 0.1)
"""Boxes that overlap a surer one more are the same face: the detector's own rule, then SyncNet's;
the second alone would keep what a box removed by it had suppressed."""
_BATCH = 8
CUT_CHANGE = 27.0
"""Mean change of hue, saturation and value that is a cut: PySceneDetect's content detector."""
MIN_SHOT = 15
"""Frames after a cut before the next one counts."""


class Survey(NamedTuple):
    """What a first look at a video gave."""

    faces: list[list[F64]]
    """Boxes [4] (left, top, right, bottom; pixels) of each frame, the surest first."""
    shots: list[range]
    """Frames between cuts."""


def survey_with_s3fd(frames: Iterable[U8], network: S3FD) -> Survey:
    """Find all faces of each frame with SyncNet's own detector. RGB [H, W, 3] each"""
    shots = _ShotFinder()
    faces: list[list[F64]] = []
    for batch in _batches(shots.watch(frames)):
        faces += detect(network, batch)
    return Survey(faces, shots.shots())


def survey_with_mesh(frames: Iterable[U8], landmarks: F32) -> Survey:
    """The box about the face's outline, forehead to chin, where the mesh found one.

    Args:
        frames: RGB. [H, W, 3] each
        landmarks: Of the same frames, NaN where no face was found. [T, 478, 3] px
    """
    shots = _ShotFinder()
    faces: list[list[F64]] = []
    for points, _ in zip(landmarks[:, FACE_OVAL, :2], shots.watch(frames), strict=False):
        is_found = np.isfinite(points).all()
        box = np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float64)
        faces.append([box] if is_found else [])
    return Survey(faces, shots.shots())


@torch.inference_mode()
def detect(network: S3FD, frames: list[U8]) -> list[list[F64]]:
    """Boxes of frames of one size, at a quarter of it. RGB [H, W, 3] each"""
    small = [cv2.resize(frame, (0, 0), fx=PICTURE_SCALE, fy=PICTURE_SCALE) for frame in frames]
    pictures = torch.from_numpy(np.stack(small)).float() - torch.tensor(MEANS_RGB)
    height, width = frames[0].shape[:2]
    scale = np.array([width, height, width, height], dtype=np.float64)
    found = network(pictures.permute(0, 3, 1, 2).contiguous())
    return [_surest(each.boxes, each.scores, scale) for each in found]


def _surest(boxes: Tensor, scores: Tensor, scale: F64) -> list[F64]:
    """One box per face."""
    is_sure = scores > MIN_SCORE
    order = scores[is_sure].argsort(descending=True)
    kept = list(boxes[is_sure][order].double().numpy() * scale)
    for limit in _OVERLAPS:
        candidates, kept = kept, []
        for box in candidates:
            if all(overlap(box, surer) <= limit for surer in kept):
                kept.append(box)
    return kept


class _ShotFinder:
    """Watches frames go by and notes where a new shot begins."""

    def __init__(self) -> None:
        self._cuts = [0]
        self._n_frames = 0
        self._last: NDArray[np.int16] | None = None

    def watch(self, frames: Iterable[U8]) -> Iterator[U8]:
        for frame in frames:
            colour = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV).astype(np.int16)
            if self._last is not None and self._last.shape == colour.shape:
                change = float(np.abs(colour - self._last).mean())
                if change >= CUT_CHANGE and self._n_frames - self._cuts[-1] >= MIN_SHOT:
                    self._cuts.append(self._n_frames)
            self._last = colour
            self._n_frames += 1
            yield frame

    def shots(self) -> list[range]:
        ends = [*self._cuts[1:], self._n_frames]
        return [range(*shot) for shot in zip(self._cuts, ends, strict=True)]


def _batches(frames: Iterable[U8]) -> Iterator[list[U8]]:
    """Up to _BATCH consecutive frames of one size."""
    batch: list[U8] = []
    for frame in frames:
        if batch and (len(batch) == _BATCH or batch[0].shape != frame.shape):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch
