"""Lets a picture fade at its own edge (SyncTalk blends its render by a blurred mask)."""

import cv2
import torch

from shared.layers import Picture

SIGMA_PER_PX = 0.2
"""Deviation of the blur: five of them are its width, as OpenCV takes it for 9 px (1.7)."""
LEAST = 1e-6


def feather(picture: Picture, width: float) -> Picture:
    """Colours over black and alpha, thinner the nearer to what is not covered.

    Alpha becomes the lesser of itself and its mean around a pixel, so that the inside stays as it
    is, and nothing grows outwards.

    Args:
        picture: Colours must be over black.
        width: Of the mean, px; at most 1 changes nothing.
    """
    side = 2 * round((width - 1) / 2) + 1
    if side <= 1:
        return picture
    alpha = picture.alpha.numpy()
    mean = cv2.GaussianBlur(alpha, (side, side), SIGMA_PER_PX * side)
    share = torch.from_numpy(mean / alpha.clip(LEAST, None)).clamp(0, 1)
    return picture._replace(colors=picture.colors * share[..., None], alpha=picture.alpha * share)
