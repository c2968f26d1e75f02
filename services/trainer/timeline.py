"""Frames of several cameras: the moment that each shows, and the camera that it was taken with.

Head pose, torso and expression belong to moments, pictures to frames. With one camera both are
the same and there is no timeline.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from shared.dataset_reader import TrackedDataset
from shared.dataset_views import has_several_cameras, read_views


class View(NamedTuple):
    """A camera."""

    viewmat: Tensor  # [4, 4] world to camera
    K: Tensor  # [3, 3] px of the stored frames


class Timeline(NamedTuple):
    """Moments and cameras of all frames."""

    moments: list[int]
    """Of each frame."""
    views: list[View]
    """Of each frame."""
    reference: list[int]
    """The training frames of the capture's own camera, one per moment."""


def build_timeline(dataset: TrackedDataset) -> Timeline | None:
    """The timeline of a dataset of several cameras; None with one.

    Raises:
        InvalidInput: ``bad_arrays``.
    """
    if not has_several_cameras(dataset):
        return None
    stored = read_views(dataset)
    Ks = torch.from_numpy(dataset.tracking["Ks"])
    viewmats = torch.from_numpy(stored.viewmats)
    cameras = stored.cameras.tolist()
    return Timeline(
        moments=stored.timesteps.tolist(),
        views=[View(viewmats[camera], K) for camera, K in zip(cameras, Ks, strict=True)],
        reference=[row for row in range(dataset.manifest.n_train) if cameras[row] == cameras[0]],
    )
