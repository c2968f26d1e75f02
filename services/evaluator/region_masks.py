"""The capture's face regions, frame by frame, at the capture's size."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.evaluator.metric import Measure, RegionMetric, mean_score, unavailable
from shared.contracts.scores import Score
from shared.contracts.tracked_dataset import REGIONS
from shared.dataset_reader import TrackedDataset, read_regions

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

NO_MASKS = "the capture's face regions are those of its tracked dataset, which was not given"


def region_masks(dataset: TrackedDataset, first: int) -> Iterator[U8]:
    """Labels of the dataset's frames from ``first`` on; outside of the crop is background. [H, W]

    Args:
        dataset: The capture's.
        first: Its frame that the video's first is compared with.
    """
    width, height = dataset.manifest.capture_width, dataset.manifest.capture_height
    for frame in range(first, dataset.manifest.n_frames):
        left, top, side = (float(value) for value in dataset.tracking["crops"][frame])
        labels = Image.fromarray(read_regions(dataset, frame))
        # Output pixel x shows the crop's pixel (x - left) * labels / side.
        scale = labels.width / side
        placed = labels.transform(
            (width, height),
            Image.Transform.AFFINE,
            (scale, 0, -left * scale, 0, scale, -top * scale),
            Image.Resampling.NEAREST,
            fillcolor=0,
        )
        yield np.asarray(placed)


def region_score(metric: RegionMetric, figures: F64 | None) -> Score:
    """Mean over frames, of the person and in details of each region. [T, 12] as the metric gave"""
    measure = Measure(metric.UNIT, metric.HIGHER_IS_BETTER)
    if figures is None or not len(figures):
        return unavailable(measure, NO_MASKS)
    details = {
        name: float(np.nanmean(figures[:, region]))
        for region, name in enumerate(REGIONS)
        if region and np.isfinite(figures[:, region]).any()
    }
    return mean_score(figures[:, 0], measure, baselines={}, details=details)
