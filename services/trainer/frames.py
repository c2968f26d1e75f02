"""Training pictures: read lazily, kept in a bounded cache, decoded ahead in a thread."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import TrackedDataset, read_frame, read_matte, read_regions
from shared.training_schedule import FrameWindow

INSIDE, PERSON, MOUTH = 3, 4, 5
"""Channels of a picture after RGB: 1 well inside the person, where nothing may shine through; 1
where the person is; 1 where the inside of the mouth is seen."""
_FLAGS = (1, 2, 4)
"""How a cached picture's fourth channel holds them."""
CACHE_BYTES = 256 * 2**20
LOOK_AHEAD = 4
SURELY_PERSON = 250
"""Matte values above are the person without doubt."""
LIKELY_PERSON = 127
MOUTH_LABELS = (REGIONS.index("teeth"), REGIONS.index("mouth_inside"))
INSIDE_MARGIN = 0.012
"""Inside begins this share of the picture's side from the matte's edge."""


class FrameCache:
    """The most recently used frames as uint8, up to ``CACHE_BYTES``.

    The fourth channel holds flags, see INSIDE. The training loop reads validation frames while the
    thread that decodes ahead reads others.
    """

    def __init__(self, dataset: TrackedDataset, *, with_mouth: bool = False) -> None:
        self._dataset = dataset
        self._with_mouth = with_mouth
        self._frames: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()
        size = dataset.manifest.crop_size
        self._capacity = max(LOOK_AHEAD + 1, CACHE_BYTES // (4 * size * size))
        margin = 2 * round(size * INSIDE_MARGIN) + 1
        self._margin = np.ones((margin, margin), np.uint8)

    def read(self, frame: int) -> NDArray[np.uint8]:
        """One frame: RGB and flags. [S, S, 4]"""
        with self._lock:
            if frame in self._frames:
                self._frames.move_to_end(frame)
                return self._frames[frame]
        matte = read_matte(self._dataset, frame)
        surely = (matte > SURELY_PERSON).astype(np.uint8)
        flags = cv2.erode(surely, self._margin) | 2 * (matte > LIKELY_PERSON).astype(np.uint8)
        if self._with_mouth:
            is_mouth = np.isin(read_regions(self._dataset, frame), MOUTH_LABELS)
            flags |= 4 * is_mouth.astype(np.uint8)
        image = np.dstack([read_frame(self._dataset, frame), flags])
        with self._lock:
            self._frames[frame] = image
            if len(self._frames) > self._capacity:
                self._frames.popitem(last=False)
        return image


def frame_order(frames: list[int], seed: int, first_step: int) -> Iterator[int]:
    """Endless shuffled passes over ``frames``, as if started at step 0."""
    epoch, at = divmod(first_step, len(frames))
    while True:
        order = np.random.default_rng([seed, epoch]).permutation(frames)
        yield from (int(frame) for frame in order[at:])
        epoch, at = epoch + 1, 0


def read_ahead(cache: FrameCache, order: Iterator[int]) -> Iterator[tuple[int, Tensor]]:
    """Frames in ``order``, in [0, 1], decoded while the last one is used. [S, S, 6]"""
    # One thread, so that decoding is in order.
    with ThreadPoolExecutor(max_workers=1) as decoder:
        waiting: list[tuple[int, Future[NDArray[np.uint8]]]] = []
        while True:
            while len(waiting) < LOOK_AHEAD:
                frame = next(order)
                waiting.append((frame, decoder.submit(cache.read, frame)))
            frame, image = waiting.pop(0)
            yield frame, with_planes(image.result())


def with_planes(image: NDArray[np.uint8]) -> Tensor:
    """A cached picture as RGB and its flags, in [0, 1]. [S, S, 4] -> [S, S, 6]"""
    flags = image[..., 3]
    planes = [((flags & flag) > 0).astype(np.float32) for flag in _FLAGS]
    colors = torch.from_numpy(image[..., :3].copy()).float() / 255
    return torch.cat([colors, torch.from_numpy(np.stack(planes, 2))], 2)


def windowed_order(
    order: Iterator[int],
    windows: tuple[FrameWindow, ...],
    signals: dict[str, NDArray[np.float32]],
    pool: tuple[list[int], int, int],
    first_step: int,
) -> Iterator[int]:
    """``order`` with every so many frames taken from sliding windows instead.

    Args:
        order: Frames, from ``first_step`` on.
        windows: Which draws, and from where.
        signals: Of every frame of the dataset, by name. [T]
        pool: Frames that may be drawn, number of steps, seed.
        first_step: Step that the next frame is for.
    """
    frames, n_steps, seed = pool
    for step, frame in enumerate(order, first_step):
        share = step / n_steps
        due = [
            window
            for window in windows
            if window.start <= share < window.end and step % window.every == 0
        ]
        if not due:
            yield frame
            continue
        window = due[0]
        way = (share - window.start) / (window.end - window.start)
        place = window.first + way * (window.last - window.first)
        candidates = frames_within(signals[window.signal][frames], place, window.width)
        generator = np.random.default_rng([seed, 3, step])
        yield frames[int(generator.choice(candidates))]


def frames_within(signal: NDArray[np.float32], place: float, width: float) -> NDArray[np.int64]:
    """Where the signal lies in a window, or comes nearest to it.

    Args:
        signal: Of each frame. [T]
        place: Of the window between the lowest value (0) and the highest (1).
        width: Of the window, as a share of the signal's range.
    """
    low, high = float(signal.min()), float(signal.max())
    bottom = low + place * (1 - width) * (high - low)
    top = bottom + width * (high - low)
    away = np.maximum(np.maximum(bottom - signal, signal - top), 0)
    return np.nonzero(away <= away.min())[0]
