"""SSIM: structural similarity between rendered and captured frames, RGB.

Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004:
Gaussian window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03, range 1; the mean over all windows that
lie inside the frame, over channels and over frames.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

KIND = "picture"
UNIT = "1"
HIGHER_IS_BETTER = True

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def compare(preds: Tensor, target: Tensor) -> Tensor:
    """SSIM of each frame.

    Args:
        preds: Rendered frames in [0, 1], each side at least 11 pixels. [B, H, W, 3]
        target: Captured frames in [0, 1], same shape.

    Returns:
        -1 to 1, 1 for equal frames. [B]
    """
    a, b = preds.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2)  # [B, 3, H, W]
    maps = torch.cat([a, b, a * a, b * b, a * b], dim=1)  # [B, 15, H, W]
    mean_a, mean_b, square_a, square_b, product = _blur(maps).chunk(5, dim=1)
    variance_a = square_a - mean_a * mean_a
    variance_b = square_b - mean_b * mean_b
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1)
    structure = (2 * covariance + C2) / (variance_a + variance_b + C2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _blur(images: Tensor) -> Tensor:
    """Gaussian mean of each full window, one axis at a time. [B, C, H, W] -> [B, C, H-10, W-10]"""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    kernel = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    # One group per channel: torch's convolution of single-channel images is ten times slower.
    n = images.shape[1]
    rows = conv2d(images, kernel.expand(n, 1, 1, WINDOW), groups=n)
    return conv2d(rows, kernel[:, None].expand(n, 1, WINDOW, 1), groups=n)
