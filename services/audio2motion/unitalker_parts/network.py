"""UniTalker's network: speech transformer, identity, three convolutions, a head per annotation.

The convolutional decoder of the published checkpoints; the transformer decoder and heads of
several layers, which the training options also know, are in none of them and left out.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

SAMPLE_RATE = 16_000
WIDTH = 256
STYLE = 64
N_BLOCKS = 3
_TINY_VARIANCE = 1e-7


class Block(nn.Module):
    """A convolution over three frames, layer normalisation, its input again, ReLU."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        if n_in != WIDTH:
            self.residual_layer = nn.Sequential(nn.Conv1d(n_in, WIDTH, 3, padding=1))
        self.conv = nn.Conv1d(n_in, WIDTH, 3, padding=1)
        self.norm = nn.LayerNorm(WIDTH)
        self.is_widening = n_in != WIDTH

    def forward(self, x: Tensor) -> Tensor:
        """[B, n_in, T] -> [B, 256, T]"""
        kept = self.residual_layer(x) if self.is_widening else x
        return torch.relu(self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2) + kept)


class Blocks(nn.Module):
    """Three blocks; a frame depends on three on either side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_layers = nn.Sequential(
            Block(WIDTH + STYLE), *(Block(WIDTH) for _ in range(N_BLOCKS - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, 320, T] -> [B, 256, T]"""
        return self.conv_layers(x)


class Translator(nn.Module):
    """The blocks under their published name."""

    def __init__(self) -> None:
        super().__init__()
        self.first_net = Blocks()

    def forward(self, x: Tensor) -> Tensor:
        """[B, 320, T] -> [B, 256, T]"""
        return self.first_net(x)


class Decoder(nn.Module):
    """What is heard, said in somebody's style."""

    def __init__(self, n_heard: int, n_styles: int) -> None:
        super().__init__()
        self.learnable_style_emb = nn.Embedding(n_styles, STYLE)
        self.audio_feature_map = nn.Linear(n_heard, WIDTH)
        self.tcn = Translator()

    def forward(self, heard: Tensor, style: Tensor) -> Tensor:
        """[B, T, n_heard], [B] -> [B, T, 256]"""
        said = self.audio_feature_map(heard).transpose(1, 2)
        manner = self.learnable_style_emb(style)[:, :, None].expand(-1, -1, said.shape[2])
        return self.tcn(torch.cat([said, manner], dim=1)).transpose(1, 2)


class UniTalker(nn.Module):
    """The whole; names and shapes are those of the published checkpoints."""

    def __init__(self, audio_encoder: nn.Module, n_heard: int, heads: dict[str, int],
                 n_styles: int) -> None:  # fmt: skip
        super().__init__()
        self.audio_encoder = audio_encoder
        self.decoder = Decoder(n_heard, n_styles)
        self.out_head_dict = nn.ModuleDict(
            {name: nn.Linear(WIDTH, width) for name, width in heads.items()}
        )

    def forward(self, samples: Tensor, style: Tensor, head: str, n_frames: int) -> Tensor:
        """What a head says of a stretch of speech, as differences from its neutral.

        Args:
            samples: 16 kHz mono at any level. [B, n]
            style: Rows of the identity embedding. [B]
            head: Name of the annotation.
            n_frames: Frames wanted; what is heard is interpolated to them, ends on ends.

        Returns:
            [B, n_frames, values of the head]
        """
        deviation = torch.sqrt(samples.var(dim=1, unbiased=False, keepdim=True) + _TINY_VARIANCE)
        level = (samples - samples.mean(dim=1, keepdim=True)) / deviation
        told: Any = self.audio_encoder(level)
        heard = interpolate(
            told.last_hidden_state.transpose(1, 2), n_frames, mode="linear", align_corners=True
        )
        return self.out_head_dict[head](self.decoder(heard.transpose(1, 2), style))
