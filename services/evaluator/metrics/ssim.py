"""SSIM: structural similarity between rendered and captured frames, RGB.

Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004:
Gaussian window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03, range 1; the mean over all windows that
lie inside the frame, over channels and over frames.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F32 = NDArray[np.float32]

KIND = "picture"
UNIT = "1"
HIGHER_IS_BETTER = True
RANGE = (-1.0, 1.0)
SOURCE = "Wang et al., IEEE TIP 2004"

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def compare(preds: Tensor, target: Tensor) -> Tensor:
    """SSIM of each frame.

    OpenCV's separable filter, frame by frame: a quarter of the time of torch's convolutions, which
    move every intermediate picture through memory.

    Args:
        preds: Rendered frames in [0, 1], each side at least 11 pixels. [B, H, W, 3]
        target: Captured frames in [0, 1], same shape.

    Returns:
        -1 to 1, 1 for equal frames. [B]
    """
    pairs = zip(preds.cpu().numpy(), target.cpu().numpy(), strict=True)
    figures = [float(ssim_map(a, b).mean(dtype=np.float64)) for a, b in pairs]
    return torch.tensor(figures, dtype=preds.dtype)


def ssim_map(a: F32, b: F32) -> F32:
    """Similarity of each full window. [H, W, 3] twice -> [H - 10, W - 10, 3]"""
    # In place wherever it can be: fresh pictures of this size cost more than the sums in them.
    mean_a, mean_b = _blur(a), _blur(b)
    product = mean_a * mean_b
    np.square(mean_a, out=mean_a)
    np.square(mean_b, out=mean_b)
    means = np.add(mean_a, mean_b, out=mean_a)
    work = a * b
    covariance = _blur(work)
    covariance -= product
    np.square(a, out=work)
    work += np.square(b)
    variances = _blur(work)  # the formula needs their sum only
    variances -= means
    product += C1 / 2
    covariance += C2 / 2
    means += C1
    variances += C2
    product *= covariance
    product *= 4  # two from each of the factors above
    means *= variances
    product /= means
    return product


def _blur(image: F32) -> F32:
    """Gaussian mean of each window that lies inside. [H, W, C] -> [H - 10, W - 10, C]"""
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-np.square(offsets) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    edge = WINDOW // 2
    return cv2.sepFilter2D(image, -1, kernel, kernel)[edge:-edge, edge:-edge]
