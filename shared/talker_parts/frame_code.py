"""What is a training frame's own: light, focus, a stray lock that neither sound nor pose tells of.

SyncGaussianTalker keeps it out of what is heard by a code per frame, at first a learned one, later
a sinusoidal one, which is steadier and tells less; the code is frozen in use.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

FrameCodeKind = Literal["sinusoid", "learned", "none"]
FRAME_CODES: tuple[str, ...] = get_args(FrameCodeKind)
N_CODE = 16
SHORTEST_PERIOD = 12.5
"""Frames, half a second: what is quicker is speech."""
START_SPREAD = 0.1


class FrameCode(nn.Module):
    """The code of every training frame. [T, 16]"""

    codes: Tensor  # [T, 16]

    def __init__(self, kind: str, n_frames: int) -> None:
        super().__init__()
        if kind == "learned":
            self.codes = nn.Parameter(START_SPREAD * torch.randn(n_frames, N_CODE))
        elif kind == "sinusoid":
            self.register_buffer("codes", sinusoids(n_frames))
        else:
            self.register_buffer("codes", torch.zeros(n_frames, N_CODE))

    def of(self, frame: int) -> Tensor:
        """Of a training frame. -> [16]"""
        return self.codes[frame]

    def frozen(self) -> Tensor:
        """What stands for any frame. -> [16]"""
        return self.codes.mean(0)


def sinusoids(n_frames: int) -> Tensor:
    """Sines and cosines of the time, of periods from half a second to twice the track. [T, 16]"""
    n_periods = N_CODE // 2
    longest = max(2.0 * n_frames, 2 * SHORTEST_PERIOD)
    periods = SHORTEST_PERIOD * (longest / SHORTEST_PERIOD) ** (
        torch.arange(n_periods) / (n_periods - 1)
    )
    phases = 2 * torch.pi * torch.arange(n_frames)[:, None] / periods
    return torch.cat([phases.sin(), phases.cos()], 1)
