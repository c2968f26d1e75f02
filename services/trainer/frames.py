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

from shared.dataset_reader import TrackedDataset, read_frame, read_matte

CACHE_BYTES = 256 * 2**20
LOOK_AHEAD = 4
SURELY_PERSON = 250
"""Matte values above are the person without doubt."""
INSIDE_MARGIN = 0.012
"""Inside begins this share of the picture's side from the matte's edge."""


class FrameCache:
    """The most recently used frames as uint8, up to ``CACHE_BYTES``.

    The fourth channel marks what lies well inside the person, where nothing may shine through.
    The training loop reads validation frames while the thread that decodes ahead reads others.
    """

    def __init__(self, dataset: TrackedDataset) -> None:
        self._dataset = dataset
        self._frames: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()
        size = dataset.manifest.crop_size
        self._capacity = max(LOOK_AHEAD + 1, CACHE_BYTES // (4 * size * size))
        margin = 2 * round(size * INSIDE_MARGIN) + 1
        self._margin = np.ones((margin, margin), np.uint8)

    def read(self, frame: int) -> NDArray[np.uint8]:
        """One frame: RGB and 255 inside the person. [S, S, 4]"""
        with self._lock:
            if frame in self._frames:
                self._frames.move_to_end(frame)
                return self._frames[frame]
        matte = read_matte(self._dataset, frame)
        is_person = (matte > SURELY_PERSON).astype(np.uint8) * 255
        inside = cv2.erode(is_person, self._margin)
        image = np.dstack([read_frame(self._dataset, frame), inside])
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
    """Frames in ``order``, in [0, 1], decoded while the last one is used. [S, S, 4]"""
    # One thread, so that decoding is in order.
    with ThreadPoolExecutor(max_workers=1) as decoder:
        waiting: list[tuple[int, Future[NDArray[np.uint8]]]] = []
        while True:
            while len(waiting) < LOOK_AHEAD:
                frame = next(order)
                waiting.append((frame, decoder.submit(cache.read, frame)))
            frame, image = waiting.pop(0)
            yield frame, torch.from_numpy(image.result()).float() / 255
