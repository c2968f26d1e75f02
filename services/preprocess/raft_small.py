"""RAFT-small: optical flow by recurrent all-pairs field transforms (Teed and Deng, ECCV 2020).

The network whose weights torchvision publishes: features and context of width 32, 32, 64, 96 at an
eighth of the size, correlations in four levels of radius 3, a convolutional GRU of width 96. Names
of parameters are those of the file.
"""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

from shared.errors import InvalidInput

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

N_UPDATES = 12
STRIDE = 8
"""Of the features."""
N_LEVELS = 4
RADIUS = 3
N_HIDDEN = 96
N_CONTEXT = 64
MIN_SIDE = STRIDE * 2 ** (N_LEVELS - 1) * 2
"""Smaller pictures have no coarsest level."""


def load_raft(path: Path) -> Callable[[U8, U8], F32]:
    """The network with weights of a file; gives flow in px. [H, W, 3] twice -> [H, W, 2]

    Raises:
        InvalidInput: ``bad_flow_model``.
    """
    network = RaftSmall()
    if not zipfile.is_zipfile(path):
        raise _refusal(path, "it is no file of torch.save, or a part of one")
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, pickle.UnpicklingError) as error:
        raise _refusal(path, str(error).splitlines()[0]) from error
    network.eval()

    def find(first: U8, second: U8) -> F32:
        with torch.inference_mode():
            flow = network(_picture(first), _picture(second))[0].permute(1, 2, 0)
        found: F32 = flow[: first.shape[0], : first.shape[1]].numpy()
        return found

    return find


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(
        "bad_flow_model",
        f"{path} does not hold torchvision's weights of raft_small: {reason}; "
        "fetch the file again, or remove it to use OpenCV's flow",
    )


def _picture(image: U8) -> Tensor:
    """In [-1, 1], grown to whole strides by its border. [H, W, 3] -> [1, 3, H', W']"""
    values = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = (max(side + -side % STRIDE, MIN_SIDE) for side in image.shape[:2])
    grown = (0, width - image.shape[1], 0, height - image.shape[0])
    return pad(values, grown, mode="replicate")


class RaftSmall(nn.Module):
    """Flow from one picture to another. [B, 3, H, W] twice -> [B, 2, H, W]"""

    def __init__(self) -> None:
        super().__init__()
        self.feature_encoder = Encoder(128, has_norm=True)
        self.context_encoder = Encoder(N_HIDDEN + N_CONTEXT, has_norm=False)
        self.update_block = UpdateBlock()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow at full size, by bilinear interpolation of the coarse one."""
        levels = correlate(self.feature_encoder(first), self.feature_encoder(second))
        hidden, context = self.context_encoder(first).split((N_HIDDEN, N_CONTEXT), dim=1)
        hidden, context = torch.tanh(hidden), torch.relu(context)
        n, _, height, width = hidden.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        start = torch.stack([columns, rows]).float().expand(n, 2, height, width)
        flow = torch.zeros_like(start)
        for _ in range(N_UPDATES):
            seen = look_up(levels, start + flow)
            hidden, change = self.update_block(hidden, context, seen, flow)
            flow = flow + change
        size = (STRIDE * height, STRIDE * width)
        return STRIDE * interpolate(flow, size=size, mode="bilinear", align_corners=True)


def correlate(one: Tensor, other: Tensor) -> list[Tensor]:
    """Products of all pairs of features, the second picture's averaged at N_LEVELS scales.

    Returns:
        Each [B * H * W of the first, 1, h, w of the second].
    """
    n, n_channels, height, width = one.shape
    products = one.flatten(2).transpose(1, 2) @ other.flatten(2) / n_channels**0.5
    levels = [products.reshape(n * height * width, 1, height, width)]
    for _ in range(N_LEVELS - 1):
        levels.append(avg_pool2d(levels[-1], 2, stride=2))
    return levels


def look_up(levels: list[Tensor], places: Tensor) -> Tensor:
    """Correlations in a square around each place, in every level. -> [B, 4 * 49, H, W]

    Args:
        levels: From ``correlate``.
        places: In the second picture, x and y, feature pixels. [B, 2, H, W]
    """
    n, _, height, width = places.shape
    reach = torch.arange(-RADIUS, RADIUS + 1).float()
    # In the order of the weights the outer of the two loops is over x.
    around = torch.stack(torch.meshgrid(reach, reach, indexing="ij"), -1)
    centres = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    seen = []
    for power, level in enumerate(levels):
        size = torch.tensor([level.shape[3], level.shape[2]])
        at = 2 * (centres / 2**power + around) / (size - 1) - 1
        seen.append(grid_sample(level, at, align_corners=True).reshape(n, height, width, -1))
    return torch.cat(seen, -1).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """Features at an eighth of the size."""

    def __init__(self, n_out: int, *, has_norm: bool) -> None:
        super().__init__()
        self.convnormrelu = _convolution(3, 32, 7, has_norm=has_norm, stride=2)
        self.layer1 = _blocks(32, 32, 1, has_norm=has_norm)
        self.layer2 = _blocks(32, 64, 2, has_norm=has_norm)
        self.layer3 = _blocks(64, 96, 2, has_norm=has_norm)
        self.conv = nn.Conv2d(96, n_out, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, n_out, H / 8, W / 8]"""
        return self.conv(self.layer3(self.layer2(self.layer1(self.convnormrelu(picture)))))


class Bottleneck(nn.Module):
    """Narrow, convolve, widen, beside a short way."""

    def __init__(self, n_in: int, n_out: int, stride: int, *, has_norm: bool) -> None:
        super().__init__()
        narrow = n_out // 4
        self.convnormrelu1 = _convolution(n_in, narrow, 1, has_norm=has_norm)
        self.convnormrelu2 = _convolution(narrow, narrow, 3, has_norm=has_norm, stride=stride)
        self.convnormrelu3 = _convolution(narrow, n_out, 1, has_norm=has_norm)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = _convolution(n_in, n_out, 1, has_norm=has_norm, stride=stride)[:-1]

    def forward(self, features: Tensor) -> Tensor:
        """The sum of both ways, rectified."""
        long = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(features)))
        return torch.relu(self.downsample(features) + long)


class MotionEncoder(nn.Module):
    """What correlations and flow say, 80 numbers and the flow itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convcorr1 = _convolution(N_LEVELS * (2 * RADIUS + 1) ** 2, 96, 1, has_norm=False)
        self.convflow1 = _convolution(2, 64, 7, has_norm=False)
        self.convflow2 = _convolution(64, 32, 3, has_norm=False)
        self.conv = _convolution(128, 80, 3, has_norm=False)

    def forward(self, flow: Tensor, seen: Tensor) -> Tensor:
        """[B, 2, H, W] and [B, 196, H, W] -> [B, 82, H, W]"""
        both = torch.cat([self.convcorr1(seen), self.convflow2(self.convflow1(flow))], 1)
        return torch.cat([self.conv(both), flow], 1)


class ConvGru(nn.Module):
    """Gated recurrent unit of 3 x 3 convolutions."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.convz, self.convr, self.convq = (
            nn.Conv2d(N_HIDDEN + n_in, N_HIDDEN, 3, padding=1) for _ in range(3)
        )

    def forward(self, hidden: Tensor, new: Tensor) -> Tensor:
        """The next hidden state."""
        both = torch.cat([hidden, new], 1)
        gate, reset = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        proposed = torch.tanh(self.convq(torch.cat([reset * hidden, new], 1)))
        return (1 - gate) * hidden + gate * proposed


class UpdateBlock(nn.Module):
    """One round: hidden state and change of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.motion_encoder = MotionEncoder()
        self.recurrent_block = nn.ModuleDict({"convgru1": ConvGru(N_CONTEXT + 82)})
        self.flow_head = nn.ModuleDict(
            {
                "conv1": nn.Conv2d(N_HIDDEN, 128, 3, padding=1),
                "conv2": nn.Conv2d(128, 2, 3, padding=1),
            }
        )

    def forward(
        self, hidden: Tensor, context: Tensor, seen: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[B, 96, H, W] and [B, 2, H, W]"""
        new = torch.cat([context, self.motion_encoder(flow, seen)], 1)
        hidden = self.recurrent_block["convgru1"](hidden, new)
        head = self.flow_head
        return hidden, head["conv2"](torch.relu(head["conv1"](hidden)))


def _convolution(
    n_in: int, n_out: int, side: int, *, has_norm: bool, stride: int = 1
) -> nn.Sequential:
    """Convolution, normalisation over the picture where wanted, rectifier."""
    layers: list[nn.Module] = [nn.Conv2d(n_in, n_out, side, stride=stride, padding=side // 2)]
    if has_norm:
        layers.append(nn.InstanceNorm2d(n_out))
    return nn.Sequential(*layers, nn.ReLU())


def _blocks(n_in: int, n_out: int, stride: int, *, has_norm: bool) -> nn.Sequential:
    return nn.Sequential(
        Bottleneck(n_in, n_out, stride, has_norm=has_norm),
        Bottleneck(n_out, n_out, 1, has_norm=has_norm),
    )
