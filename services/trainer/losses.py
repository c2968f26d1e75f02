"""What a drawn picture costs: the terms of ``PictureWeights``, and those of parts drawn apart."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.trainer.frames import INSIDE, MOUTH, PERSON
from services.trainer.ssim import ssim
from services.trainer.studio import Studio
from shared.landmarks import LIPS
from shared.layers import Layers, Picture
from shared.training_schedule import PartLoss, PictureWeights

LIP_MARGIN = 0.15
"""The square around the lips is wider than they are by this share of its side, each way."""
DEPTH_UNIT = 0.25
"""Of the head's distance: there 2 sigmoid(depth) - 1 is 0.96 (KU GaussianTalker's depth term
expects depths of some units where a head is)."""
BACKDROP_SHIFTS = ((-1 / 3, 2 / 3, -1 / 3), (-1 / 3, -1 / 3, 2 / 3), (2 / 3, -1 / 3, -1 / 3))
"""What parts are drawn on apart, frame by frame: the mouth's own colour, shifted to one that nobody
has. The shifts' sum is zero: what shines through a lip's edge is then, on average, what will be
behind it. TalkingGaussian takes green alone, and Gaussians turn green where they should be clear;
before other pure colours the lips got a bright rim."""
MIN_MOUTH_PIXELS = 20
"""Of a whole picture; with fewer a frame tells nothing of the mouth (TalkingGaussian)."""


class Square(NamedTuple):
    """A square part of a picture, in whole pixels."""

    left: int
    top: int
    side: int

    def of(self, picture: Tensor) -> Tensor:
        """That part of a picture. [H, W, ...] -> [side, side, ...]"""
        return picture[self.top : self.top + self.side, self.left : self.left + self.side]


def lip_square(landmarks: NDArray[np.generic], size: int, shrink: int) -> Square:
    """The square around the lips of one frame.

    Args:
        landmarks: In crop pixels. [478, 3]
        size: Side of the crop, px.
        shrink: By which the picture is smaller than the crop.
    """
    lips = np.asarray(landmarks[list(LIPS), :2], np.float64) / shrink
    low, high = lips.min(0), lips.max(0)
    side = int(np.ceil((high - low).max() * (1 + 2 * LIP_MARGIN)))
    side = min(max(side, 4), size // shrink)
    corner = np.clip(np.round((low + high - side) / 2), 0, size // shrink - side).astype(int)
    return Square(int(corner[0]), int(corner[1]), side)


def picture_loss(
    drawn: Picture,
    target: Tensor,  # [H, W, 6] of FrameCache
    weights: PictureWeights,
    lips: Square,
    head_distance: float,  # m
) -> Tensor:
    """All terms that have a weight."""
    colors = target[..., :3].contiguous()
    holes = (target[..., INSIDE] * (1 - drawn.alpha)).mean()
    loss = (
        weights.l1 * (drawn.colors - colors).abs().mean()
        + weights.ssim * (1 - ssim(drawn.colors, colors))
        + weights.holes * holes
    )
    if weights.lips:
        loss = loss + weights.lips * (lips.of(drawn.colors) - lips.of(colors)).abs().mean()
    if weights.depth:
        reached = 2 * torch.sigmoid(drawn.depth / (DEPTH_UNIT * head_distance)) - 1
        loss = loss + weights.depth * (reached - target[..., PERSON]).abs().mean()
    return loss


def choose_backdrop(
    target: Tensor,  # [H, W, 6] of FrameCache
    lips: Square,
    frame: int,
) -> Tensor:
    """What a frame's parts are drawn on: its mouth's colour, or its lips', shifted. [3]"""
    colors, is_mouth = target[..., :3], target[..., MOUTH].round() > 0
    shown = colors[is_mouth] if bool(is_mouth.any()) else lips.of(colors).flatten(0, 1)
    return shown.mean(0) + torch.tensor(BACKDROP_SHIFTS[frame % len(BACKDROP_SHIFTS)])


def part_loss(
    studio: Studio,
    layers: Layers,
    target: Tensor,  # [H, W, 6] of FrameCache
    part: PartLoss,
    lips: Square,
    *,
    frame: int,
) -> Tensor:
    """One part before a backdrop, against the captured picture with all else painted so too."""
    shrink = studio.subject.crop_size // target.shape[0]
    shown = tuple(layers[place] for place in part.layers)
    mouth = target[..., MOUTH, None].round()  # [H, W, 1]
    backdrop = choose_backdrop(target, lips, frame)
    if part.region == "face":
        # Behind the lips, too, or their edge would take its colour before the plate.
        near = torch.zeros_like(mouth)
        lips.of(near).copy_(lips.of(target[..., INSIDE, None]))
        near = torch.maximum(near, mouth)
        behind = near * backdrop + (1 - near) * studio.backgrounds[shrink]
        drawn = studio.draw_over(shown, behind, shrink)
        colors = drawn.colors
        wanted = (mouth * backdrop + (1 - mouth) * target[..., :3]).contiguous()
        error = (colors - wanted).abs().mean() + part.ssim * (1 - ssim(colors, wanted))
        holes = (target[..., INSIDE] * (1 - mouth[..., 0]) * (1 - drawn.alpha)).mean()
        return part.weight * (error + part.holes * holes)
    if float(mouth.sum()) * shrink**2 < MIN_MOUTH_PIXELS:
        return torch.zeros(())
    before = studio.draw_over(shown, backdrop, shrink)
    inside, seen = lips.of(mouth), lips.of(before.colors)
    wanted = (inside * lips.of(target[..., :3]) + (1 - inside) * backdrop).contiguous()
    # What the lips hide is not judged, so that the mouth goes on behind them.
    masked = (inside * seen + (1 - inside) * backdrop).contiguous()
    error = (masked - wanted).abs().sum() / inside.sum().clamp_min(1)
    error = error + part.ssim * (1 - ssim(masked, wanted))
    alpha = lips.of(before.alpha)
    spread = part.alpha * (alpha * (1 - inside[..., 0])).mean()
    beyond = (before.alpha.sum() - alpha.sum()) / before.alpha.numel()
    return part.weight * (error + spread + beyond)
