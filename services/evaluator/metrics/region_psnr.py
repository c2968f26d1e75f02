"""PSNR of each face region alone, and of the whole person, by the dataset's region masks.

The value is that of the person's pixels; details have each region. Ablations of one part of a
face (GaussianAvatars' region check) hardly show in the full frame's figure.
"""

import torch
from torch import Tensor

from shared.contracts.tracked_dataset import REGIONS

KIND = "region"
UNIT = "dB"
HIGHER_IS_BETTER = True
RANGE = (None, 100.0)
SOURCE = "as psnr, over the region's pixels"

LEAST_ERROR = 1e-10
"""Mean squared error below which regions count as equal: 100 dB."""
LEAST_PIXELS = 16
"""A smaller region says nothing in its frame."""


def compare_regions(preds: Tensor, target: Tensor, labels: Tensor) -> Tensor:
    """PSNR of the person and of each region in each frame.

    Args:
        preds: Rendered frames in [0, 1]. [B, H, W, 3]
        target: Captured frames in [0, 1], same shape.
        labels: ``REGIONS`` of the captured frames. uint8 [B, H, W]

    Returns:
        Decibels: the person in place of the background, then the regions in their order; NaN
        where a region is not seen. [B, 12]
    """
    error = (preds - target).square().mean(-1)  # [B, H, W]
    figures = []
    for region in range(len(REGIONS)):
        inside = labels == region if region else labels > 0
        n_pixels = inside.sum((1, 2))
        mse = (error * inside).sum((1, 2)) / n_pixels.clamp_min(1)
        psnr = -10.0 * torch.log10(mse.clamp_min(LEAST_ERROR))
        figures.append(torch.where(n_pixels >= LEAST_PIXELS, psnr, torch.nan))
    return torch.stack(figures, 1)
