"""Looks once at a video and its reference, side by side, and keeps figures instead of frames."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, tee
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.evaluator.metric import Compare, FaceTrack, RegionMetric
from shared.contracts.tracked_dataset import FPS
from shared.errors import InvalidInput
from shared.landmarks import N_LANDMARKS
from shared.media.video import probe_video, read_frames
from shared.progress import Progress
from shared.tracker import Tracker

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BATCH = 4
"""Pairs of frames compared at once."""


class Sight(NamedTuple):
    """What one look gave."""

    video: FaceTrack
    reference: FaceTrack | None
    pictures: dict[str, F64]
    """Figures of the picture metrics, one per compared frame. [T]"""
    regions: dict[str, F64]
    """Figures of the region metrics, per compared frame whose regions are known. [T, 12]"""
    not_compared: str | None
    """Why pictures could not be compared."""
    video_size: tuple[int, int]
    """Width and height in pixels."""
    reference_size: tuple[int, int] | None


class _Seen(NamedTuple):
    """A frame, and the face in it."""

    frame: U8
    landmarks: F32 | None


class _Side:
    """One of the two videos: its frames, and the landmarks seen so far."""

    def __init__(self, frames: Iterable[U8], tracker: Tracker) -> None:
        # The tracker takes a frame right after we do, so the tee holds one at most.
        ours, theirs = tee(frames)
        self._frames = ours
        self._tracked = tracker.track_landmarks(theirs)
        self.landmarks: list[F32] = []
        self.size: tuple[int, int] | None = None

    def look(self) -> _Seen | None:
        """Read a frame and find its face, without keeping either."""
        frame = next(self._frames, None)
        return None if frame is None else _Seen(frame, next(self._tracked))

    def keep(self, seen: _Seen) -> U8:
        """Count the frame as one of the video's."""
        nobody = np.full((N_LANDMARKS, 3), np.nan, np.float32)
        self.landmarks.append(nobody if seen.landmarks is None else seen.landmarks)
        self.size = self.size or (seen.frame.shape[1], seen.frame.shape[0])
        return seen.frame

    def track(self) -> FaceTrack:
        landmarks = np.stack(self.landmarks) if self.landmarks else np.zeros((0, N_LANDMARKS, 3))
        return FaceTrack(landmarks.astype(np.float32, copy=False), self.size[1] if self.size else 1)


class PairMetrics(NamedTuple):
    """What compares pairs of frames, by name of the metric."""

    pictures: Mapping[str, Compare]
    regions: Mapping[str, RegionMetric]


class _Comparison:
    """Feeds pairs of frames to the metrics in batches."""

    def __init__(self, metrics: PairMetrics) -> None:
        self._metrics = metrics
        self._pairs: list[tuple[U8, U8]] = []
        self._labels: list[U8] = []
        self._figures: dict[str, list[Tensor]] = {name: [] for name in metrics.pictures}
        self._regions: dict[str, list[Tensor]] = {name: [] for name in metrics.regions}

    def add(self, preds: U8, target: U8, labels: U8 | None) -> None:
        self._pairs.append((preds, target))
        if labels is not None and labels.shape == target.shape[:2]:
            self._labels.append(labels)
        if len(self._pairs) == BATCH:
            self._compare()

    def figures(self) -> tuple[dict[str, F64], dict[str, F64]]:
        if self._pairs:
            self._compare()
        return _joined(self._figures), _joined(self._regions)

    def _compare(self) -> None:
        preds, target = (
            torch.from_numpy(np.multiply(np.stack(side), np.float32(1 / 255)))
            for side in zip(*self._pairs, strict=True)
        )
        for name, compare in self._metrics.pictures.items():
            self._figures[name].append(compare(preds, target))
        if n := len(self._labels):  # a dataset's labels may end before the video does
            labels = torch.from_numpy(np.stack(self._labels))
            for name, each in self._metrics.regions.items():
                self._regions[name].append(each.compare_regions(preds[:n], target[:n], labels))
        self._pairs.clear()
        self._labels.clear()


def _joined(figures: dict[str, list[Tensor]]) -> dict[str, F64]:
    return {
        name: torch.cat(values).double().numpy() if values else np.zeros(0)
        for name, values in figures.items()
    }


def look(
    video: Path,
    reference: tuple[Path, int] | None,
    metrics: PairMetrics,
    tracker: Tracker,
    progress: Progress,
    *,
    labels: Iterator[U8] | None = None,
) -> Sight:
    """Read both videos at 25 fps, frame by frame.

    Args:
        video: What is judged.
        reference: The capture, if any, and its frame that the video's first is compared with.
        metrics: Picture and region metrics.
        tracker: Finds the faces.
        progress: Told about each frame.
        labels: Face regions of the reference from that frame on, at its size. [H, W] each

    Raises:
        InvalidInput: ``reference_too_short`` when the reference ends before its first frame.
    """
    n_expected = max(1.0, probe_video(video).duration_s * FPS)
    judged = _Side(read_frames(video, FPS), tracker)
    truth = _Side(reference_frames(*reference), tracker) if reference else None
    comparison = _Comparison(metrics)
    not_compared = None if truth else "there is no reference video to compare with"
    # One thread reads and tracks the next pairs while this one compares the last: both take about
    # as long. A second tracking thread would not do, since trackers quieten the process's stderr.
    with ThreadPoolExecutor(max_workers=1) as ahead:
        coming = ahead.submit(_look_at, judged, truth)
        while pairs := coming.result():
            coming = ahead.submit(_look_at, judged, truth)
            for seen, other in pairs:
                frame = judged.keep(seen)
                if truth and other:
                    target = truth.keep(other)
                    preds = fit_padding(frame, target)
                    if preds is None:
                        not_compared = (
                            f"the video is {frame.shape[1]}x{frame.shape[0]}, "
                            f"its reference {target.shape[1]}x{target.shape[0]}"
                        )
                    else:
                        comparison.add(preds, target, next(labels, None) if labels else None)
                progress(min(1.0, len(judged.landmarks) / n_expected), "comparing")
    if truth and not truth.landmarks:
        raise InvalidInput(
            "reference_too_short",
            "the reference ends before the frame with which the video's first is to be compared",
        )
    pictures, regions = comparison.figures()
    return Sight(
        video=judged.track(),
        reference=truth.track() if truth else None,
        pictures=pictures,
        regions=regions,
        not_compared=not_compared,
        video_size=judged.size or (0, 0),
        reference_size=truth.size if truth else None,
    )


class _Pair(NamedTuple):
    """What was seen next in both videos."""

    video: _Seen
    reference: _Seen | None
    """None after its end, and where there is none."""


def _look_at(judged: _Side, truth: _Side | None) -> list[_Pair]:
    """See the next batch of pairs; none at the end of the video."""
    pairs: list[_Pair] = []
    while len(pairs) < BATCH and (seen := judged.look()) is not None:
        pairs.append(_Pair(seen, truth.look() if truth else None))
    return pairs


def reference_frames(reference: Path, first: int) -> Iterator[U8]:
    """Frames of the capture from ``first`` on, at 25 fps by time stamp."""
    return islice(read_frames(reference, FPS), first, None)


def fit_padding(frame: U8, target: U8) -> U8 | None:
    """Cut the row and column that 4:2:0 adds to odd sizes; None when sizes differ otherwise."""
    height, width = target.shape[:2]
    if frame.shape[0] - height in {0, height % 2} and frame.shape[1] - width in {0, width % 2}:
        return frame[:height, :width]
    return None
