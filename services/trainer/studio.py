"""Draws a model as the trainer sees it: over the background plate, at full or shrunken size."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from services.trainer.timeline import View
from shared.avatar_method import AvatarModel, Subject
from shared.dataset_reader import TrackedDataset, read_plate
from shared.layers import Layers, Picture, draw_layers
from shared.rasterizer import Rasterizer


class Studio(NamedTuple):
    """Camera and background of a training."""

    rasterizer: Rasterizer
    subject: Subject
    backgrounds: dict[int, Tensor]
    """The plate behind the crop by shrink factor. [S / shrink, S / shrink, 3]"""

    def draw(self, layers: Layers, shrink: int = 1, view: View | None = None) -> Picture:
        """The picture over the plate, of the subject's camera or another. [S / shrink, ..., 3]"""
        return self.draw_over(layers, self.backgrounds[shrink], shrink, view)

    def draw_over(
        self, layers: Layers, background: Tensor, shrink: int, view: View | None = None
    ) -> Picture:
        """The picture over another background, one colour [3] or as large as the picture."""
        size = self.subject.crop_size // shrink
        viewmat, K = view or (self.subject.viewmat, self.subject.K)
        camera = (viewmat, shrink_intrinsics(K, shrink))
        return draw_layers(self.rasterizer, layers, camera, (size, size), background)

    def draw_condition(self, model: AvatarModel, condition: Tensor, shrink: int = 1) -> Picture:
        """Pose and draw."""
        return self.draw(model.pose(condition), shrink)


def build_studio(
    rasterizer: Rasterizer, subject: Subject, dataset: TrackedDataset, shrinks: tuple[int, ...]
) -> Studio:
    """Cut the plate to the reference crop at every size that will be drawn."""
    left, top, side = (float(value) for value in dataset.tracking["crops"][0])
    plate = Image.fromarray(read_plate(dataset))
    size = subject.crop_size
    cut = (
        plate.transform(
            (size, size),
            Image.Transform.EXTENT,
            (left, top, left + side, top + side),
            Image.Resampling.BICUBIC,
        )
        if (left, top, side) != (0.0, 0.0, float(size)) or plate.size != (size, size)
        else plate
    )
    full = torch.from_numpy(np.asarray(cut).copy()).float() / 255
    return Studio(rasterizer, subject, {shrink: shrink_image(full, shrink) for shrink in shrinks})


def shrink_image(image: Tensor, shrink: int) -> Tensor:
    """Area average over blocks of ``shrink``; a ragged edge is dropped. [H, W, C]"""
    if shrink == 1:
        return image
    height, width = (side // shrink * shrink for side in image.shape[:2])
    blocks = image[:height, :width].unflatten(1, (-1, shrink)).unflatten(0, (-1, shrink))
    return blocks.mean((1, 3))


def shrink_intrinsics(K: Tensor, shrink: int) -> Tensor:
    """Intrinsics of the shrunken picture; pixel centres are at half integers."""
    scale = torch.tensor([[1 / shrink], [1 / shrink], [1.0]])
    return K * scale
