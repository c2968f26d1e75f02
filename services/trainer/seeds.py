"""Chooses the training pixels that Gaussians start from."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from shared.avatar_method import Seed
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import TrackedDataset, read_frame, read_matte, read_regions
from shared.landmarks import mouth_opening

F32 = NDArray[np.float32]

IMPORTANCE = {
    "lips": 5.0,
    "teeth": 6.0,
    "mouth_inside": 5.0,
    "eyes": 5.0,
    "brows": 2.5,
    "nose": 2.0,
}
"""Density of points in a region against plain skin."""
SHARE = {"usual": 0.80, "turned": 0.07, "open": 0.06}
"""Of all points: the usual pose; each of the two most turned heads; the widest open mouth."""
EDGE_SCALE = 60.0
"""Sobel magnitude (0..255 luminance) that doubles the density."""


class ReferenceFrames(NamedTuple):
    """Training frames that show what the others do not."""

    usual: int
    turned: tuple[int, int]
    open: int


def choose_references(dataset: TrackedDataset, frames: list[int]) -> ReferenceFrames:
    """The frame nearest to the usual head pose, the most turned ones, the widest mouth."""
    rotation = dataset.tracking["rotation"][frames]
    pose = np.concatenate([rotation, dataset.tracking["translation"][frames]], 1)
    usual = np.abs((pose - np.median(pose, 0)) / (pose.std(0) + 1e-6)).sum(1).argmin()
    yaw = rotation[:, 1]
    openings = np.array([mouth_opening(dataset.tracking["landmarks"][frame]) for frame in frames])
    return ReferenceFrames(
        usual=frames[int(usual)],
        turned=(frames[int(yaw.argmin())], frames[int(yaw.argmax())]),
        open=frames[int(openings.argmax())],
    )


def choose_seeds(
    dataset: TrackedDataset, references: ReferenceFrames, n_points: int, seed: int
) -> list[Seed]:
    """Pixels of the reference frames, denser where there is more to see."""
    generator = np.random.default_rng([seed, 1])
    mouth = [REGIONS.index(name) for name in ("lips", "teeth", "mouth_inside")]
    plan = [
        (references.usual, SHARE["usual"], None),
        (references.turned[0], SHARE["turned"], None),
        (references.turned[1], SHARE["turned"], None),
        (references.open, SHARE["open"], mouth),
    ]
    seeds = []
    for frame, share, only in plan:
        density = point_density(dataset, frame)
        if only is not None:
            density = density * np.isin(read_regions(dataset, frame), only)
        if density.sum() > 0:
            seeds.append(_draw(dataset, frame, density, round(n_points * share), generator))
    return seeds


def point_density(dataset: TrackedDataset, frame: int) -> F32:
    """Relative density of points at each pixel of a frame. [S, S]"""
    image = read_frame(dataset, frame)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    edges = np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    matte = read_matte(dataset, frame).astype(np.float32) / 255
    # Loose strands lie outside the matte.
    margin = cv2.dilate(matte, np.ones((25, 25), np.uint8))
    density = (matte + 0.15 * margin) * (0.5 + cv2.GaussianBlur(edges, (0, 0), 3) / EDGE_SCALE)
    labels = read_regions(dataset, frame)
    importance = np.ones(len(REGIONS), np.float32)
    for name, factor in IMPORTANCE.items():
        importance[REGIONS.index(name)] = factor
    weighted: F32 = density * cv2.GaussianBlur(importance[labels], (0, 0), 2)
    return weighted


def nearest_labels(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Background takes the label next to it: a loose strand belongs to the hair. [S, S]"""
    at = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    filled: NDArray[np.uint8] = labels[at[0], at[1]]
    return filled


def _draw(
    dataset: TrackedDataset, frame: int, density: F32, n: int, generator: np.random.Generator
) -> Seed:
    size = density.shape[0]
    share = (density / density.sum()).ravel()
    chosen = generator.choice(
        size * size, n, p=share.astype(np.float64) / share.sum(dtype=np.float64)
    )
    rows, columns = np.divmod(chosen, size)
    pixels = np.stack([columns, rows], 1) + generator.uniform(0, 1, (n, 2))
    spacing = 0.55 / np.sqrt(np.maximum(share[chosen] * n, 1e-6))
    colors = read_frame(dataset, frame)[rows, columns].astype(np.float32) / 255
    labels = nearest_labels(read_regions(dataset, frame))[rows, columns]
    return Seed(
        frame=frame,
        pixels=torch.from_numpy(pixels.astype(np.float32)),
        colors=torch.from_numpy(colors),
        labels=torch.from_numpy(labels),
        spacing=torch.from_numpy(spacing.astype(np.float32)).clamp(0.5, 6.0),
    )
