"""S3FD: the face detector that SyncNet's crops are made with.

Zhang et al., "S3FD: single shot scale-invariant face detector", ICCV 2017; layers, parameter names
and decoding of ``sfd_face.pth`` as joonson/syncnet_python (MIT) uses it: VGG-16 with extra layers,
boxes from six scales of squares of 16 to 512 pixels. Like that code it feeds RGB, each channel
less its mean (123, 117, 104).
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

FILE = "sfd_face.pth"
MEANS_RGB = (123.0, 117.0, 104.0)
_STRIDES = (4, 8, 16, 32, 64, 128)
_SIDES = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
_PLACE_SCALE, _SIZE_SCALE = 0.1, 0.2
_POOL = "pool"
_CEIL_POOL = "ceil pool"
_VGG = (
    (64, 64, _POOL), (128, 128, _POOL), (256, 256, 256, _CEIL_POOL),
    (512, 512, 512, _POOL), (512, 512, 512, _POOL),
)  # fmt: skip
_TAPS = (15, 22, 29)
"""Layers of VGG after which conv3_3, conv4_3 and conv5_3 are taken."""


class Detections(NamedTuple):
    """All candidate boxes of one picture."""

    boxes: Tensor  # [P, 4] left, top, right, bottom as shares of width and height
    scores: Tensor  # [P] 0 to 1


class ChannelNorm(nn.Module):
    """Scales each pixel's channels to unit length, then each channel by its own factor."""

    def __init__(self, n_channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((n_channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised. [B, C, H, W]"""
        length = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return self.weight[:, None, None] * (x / length)


class S3FD(nn.Module):
    """The detector; names and shapes are those of the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = nn.ModuleList(_vgg_layers())
        self.L2Norm3_3 = ChannelNorm(256, 10.0)
        self.L2Norm4_3 = ChannelNorm(512, 8.0)
        self.L2Norm5_3 = ChannelNorm(512, 5.0)
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(1024, 256, 1),
                nn.Conv2d(256, 512, 3, stride=2, padding=1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, stride=2, padding=1),
            ]
        )
        widths = (256, 512, 512, 1024, 512, 256)
        self.loc = nn.ModuleList([nn.Conv2d(width, 4, 3, padding=1) for width in widths])
        self.conf = nn.ModuleList(
            [
                nn.Conv2d(width, 4 if scale == 0 else 2, 3, padding=1)
                for scale, width in enumerate(widths)
            ]
        )

    def forward(self, pictures: Tensor) -> list[Detections]:
        """Candidates of each picture. RGB less MEANS_RGB, [B, 3, H, W]"""
        size = pictures.shape[-2:]
        boxes, scores = [], []
        for scale, features in enumerate(self._features(pictures)):
            place = self.loc[scale](features).permute(0, 2, 3, 1)  # [B, h, w, 4]
            grade = self.conf[scale](features)
            if scale == 0:  # three kinds of background compete, the strongest counts
                grade = torch.cat([grade[:, :3].amax(dim=1, keepdim=True), grade[:, 3:]], dim=1)
            squares = _squares(scale, (features.shape[-2], features.shape[-1]), size)
            boxes.append(_decode(place.flatten(1, 2), squares))
            scores.append(grade.softmax(dim=1)[:, 1].flatten(1))
        pairs = zip(torch.cat(boxes, 1), torch.cat(scores, 1), strict=True)
        return [Detections(*pair) for pair in pairs]

    def _features(self, x: Tensor) -> Iterable[Tensor]:
        norms = iter((self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3))
        for index, layer in enumerate(self.vgg):
            x = layer(x)
            if index in _TAPS:
                yield next(norms)(x)
        yield x
        for index, layer in enumerate(self.extras):
            x = relu(layer(x))
            if index % 2:
                yield x


def _vgg_layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    n_in = 3
    for block in _VGG:
        for entry in block:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=entry == _CEIL_POOL))
            else:
                layers += [nn.Conv2d(n_in, entry, 3, padding=1), nn.ReLU()]
                n_in = entry
    wide = nn.Conv2d(512, 1024, 3, padding=6, dilation=6)
    return [*layers, wide, nn.ReLU(), nn.Conv2d(1024, 1024, 1), nn.ReLU()]


def _squares(scale: int, grid: tuple[int, int], size: torch.Size) -> Tensor:
    """Centre and size of a scale's squares as shares of the picture. [h w, 4]"""
    stride, side = _STRIDES[scale], _SIDES[scale]
    height, width = size
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    centres = [(x + 0.5) * stride / width, (y + 0.5) * stride / height]
    sides = [torch.full_like(centres[0], side / width), torch.full_like(centres[0], side / height)]
    return torch.stack([*centres, *sides], dim=-1).flatten(0, 1)


def _decode(places: Tensor, squares: Tensor) -> Tensor:
    """Boxes from what the network says of its squares. [B, P, 4], [P, 4] -> [B, P, 4]"""
    centre = squares[:, :2] + places[..., :2] * _PLACE_SCALE * squares[:, 2:]
    half = squares[:, 2:] * torch.exp(places[..., 2:] * _SIZE_SCALE) / 2
    return torch.cat([centre - half, centre + half], dim=-1)
