"""Sound around a frame to 32 numbers: the audio networks of AD-NeRF's line of methods.

KU GaussianTalker and TalkingGaussian take eight windows of 16 rows at 50 rows a second, one per
frame from four before to three after, through the same network, and mix them by attention. Here
rows come at 100 a second and are averaged in pairs.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin

N_WINDOWS = 8
WINDOW = 16
"""Rows of a window at 50 rows a second."""
STEP = 2
"""Rows from one window to the next: 40 ms, whatever the frame rate."""
N_ROWS = 2 * (WINDOW + STEP * (N_WINDOWS - 1))
"""Rows of the encoder around a frame, at 100 a second."""
N_AUDIO = 32
LEAK = 0.02


def encoder_channels(name: str) -> int:
    """Width of the rows of an audio encoder; ``shared.audio_windows`` takes any to 100 a second.

    Raises:
        InvalidInput: ``unknown_plugin``.
    """
    encoder: AudioEncoder = load_plugin("shared.audio_encoders", name)
    return encoder.N_CHANNELS


class AudioNet(nn.Module):
    """Four strided convolutions in time, then two layers. [B, 16, C] -> [B, 32]"""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        widths = (n_channels, 32, 32, 64, 64)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv1d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(LEAK)]
        self.convolutions = nn.Sequential(*layers)
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(LEAK), nn.Linear(64, N_AUDIO))

    def forward(self, windows: Tensor) -> Tensor:
        """[B, 16, C] -> [B, 32]"""
        return self.layers(self.convolutions(windows.transpose(1, 2))[..., 0])


class AudioAttention(nn.Module):
    """Weighs the eight windows of a frame. [T, 8, 32] -> [T, 32]"""

    def __init__(self) -> None:
        super().__init__()
        widths = (N_AUDIO, 16, 8, 4, 2, 1)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv1d(before, after, 3, padding=1), nn.LeakyReLU(LEAK)]
        self.convolutions = nn.Sequential(*layers)
        self.layer = nn.Linear(N_WINDOWS, N_WINDOWS)

    def forward(self, features: Tensor) -> Tensor:
        """[T, 8, 32] -> [T, 32]"""
        weights = softmax(self.layer(self.convolutions(features.transpose(1, 2))[:, 0]), dim=1)
        return torch.einsum("tw,twc->tc", weights, features)


class Hearing(nn.Module):
    """Both, from the rows around each frame. [T, N_ROWS, C] -> [T, 32]"""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.net = AudioNet(n_channels)
        self.attention = AudioAttention()

    def forward(self, rows: Tensor) -> Tensor:
        """[T, N_ROWS, C] -> [T, 32]"""
        paired = rows.unflatten(1, (-1, 2)).mean(2)  # [T, 30, C]
        windows = paired.unfold(1, WINDOW, STEP).transpose(2, 3)  # [T, 8, 16, C]
        features = self.net(windows.flatten(0, 1))
        return self.attention(features.unflatten(0, (-1, N_WINDOWS)))
