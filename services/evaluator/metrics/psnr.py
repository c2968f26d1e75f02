"""PSNR: peak signal-to-noise ratio between rendered and captured frames, RGB, range 1."""

import torch
from torch import Tensor

KIND = "picture"
UNIT = "dB"
HIGHER_IS_BETTER = True
RANGE = (None, 100.0)
SOURCE = "as the methods' own scripts: RGB, range 1, mean of the frames' decibels"

LEAST_ERROR = 1e-10
"""Mean squared error below which frames count as equal: 100 dB, so that scores stay finite."""


def compare(preds: Tensor, target: Tensor) -> Tensor:
    """PSNR of each frame.

    Args:
        preds: Rendered frames in [0, 1]. [B, H, W, 3]
        target: Captured frames in [0, 1], same shape.

    Returns:
        Decibels. [B]
    """
    n_values = preds[0].numel()
    mse = torch.linalg.vector_norm(preds - target, dim=(1, 2, 3)).square() / n_values  # [B]
    return -10.0 * torch.log10(mse.clamp_min(LEAST_ERROR))
