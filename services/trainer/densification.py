"""Adds Gaussians where the pictures are still wrong and removes those that show nothing.

A copy inherits its parent's triangle (binding inheritance, GaussianAvatars section 3.2). Parents
are chosen by the error of the pictures at the place they are drawn at; gradient thresholds, as in
3D Gaussian Splatting, would need to be found anew for every picture size.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from torch import Tensor

MIN_OPACITY = 0.02
ERROR_BLUR_PX = 1.0


class Change(NamedTuple):
    """Which Gaussians there are after a densification."""

    sources: Tensor  # [M] row of each Gaussian before
    is_new: Tensor  # [M] whether it is a copy
    shrinks: Tensor  # [M] whether it is one of a split pair


def choose_change(
    errors: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    opacities: Tensor,
    n_wanted: int,
    generator: np.random.Generator,
) -> Change:
    """Drop transparent Gaussians, then copy others until there are ``n_wanted``.

    Args:
        errors: For some training frames: absolute error [S, S] and the Gaussians' places in the
            picture [N, 2], px.
        opacities: Of the Gaussians before. [N]
        n_wanted: Number of Gaussians after.
        generator: Draws the places.
    """
    keep = torch.nonzero(opacities > MIN_OPACITY)[:, 0]
    n_copies = max(0, n_wanted - len(keep))
    drawn = []
    for error, places in errors:
        kept = places[keep.numpy()]
        smooth = gaussian_filter(error, ERROR_BLUR_PX).astype(np.float64)
        share = (smooth / smooth.sum()).ravel()
        pixels = generator.choice(share.size, -(-n_copies // len(errors)), p=share)
        rows, columns = np.divmod(pixels, error.shape[1])
        nearest = cKDTree(kept).query(np.stack([columns, rows], 1) + 0.5)[1]
        drawn.append(keep[torch.from_numpy(nearest.astype(np.int64))])
    copies = torch.cat(drawn).unique()[:n_copies] if n_copies else keep[:0]
    is_parent = torch.isin(keep, copies)
    return Change(
        sources=torch.cat([keep, copies]),
        is_new=torch.cat([torch.zeros_like(keep), torch.ones_like(copies)]).bool(),
        shrinks=torch.cat([is_parent, torch.ones(len(copies), dtype=torch.bool)]),
    )


def in_layers(change: Change, n_in_layers: list[int]) -> Change:
    """The same change with Gaussians in the order of their layers; one layer is left as it is.

    Args:
        change: What there is after it.
        n_in_layers: Number of Gaussians of each layer before.
    """
    borders = torch.tensor(n_in_layers).cumsum(0)
    order = torch.bucketize(change.sources, borders, right=True).argsort(stable=True)
    return Change(*(rows[order] for rows in change))
