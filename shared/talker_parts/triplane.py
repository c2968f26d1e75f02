"""Features of a place in space, from three planes at two scales (KU GaussianTalker, section 3.1).

HexPlane without time: bilinear samples of the xy, yz and xz planes are multiplied, scales joined.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

N_CHANNELS = 32
RESOLUTIONS = (64, 128)
N_FEATURES = N_CHANNELS * len(RESOLUTIONS)
_AXES = ((0, 1), (1, 2), (0, 2))
_START = (0.1, 0.5)


class Triplane(nn.Module):
    """[N, 3] -> [N, 64]"""

    low: Tensor  # [3] m
    high: Tensor  # [3] m

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.planes = nn.ParameterList(
            nn.Parameter(torch.empty(3, N_CHANNELS, side, side).uniform_(*_START))
            for side in RESOLUTIONS
        )
        self.register_buffer("low", low.clone())
        self.register_buffer("high", high.clone())

    def forward(self, places: Tensor) -> Tensor:
        """Features of each place; beyond the box those of its border. [N, 3] -> [N, 64]"""
        inside = 2 * (places - self.low) / (self.high - self.low) - 1
        at = torch.stack([inside[:, axes] for axes in _AXES])[:, None]  # [3, 1, N, 2]
        features = []
        for plane in self.planes:
            sampled = grid_sample(plane, at, padding_mode="border", align_corners=True)[:, :, 0]
            xy, yz, xz = sampled.unbind()  # one gradient, where indexing gives three, mostly zeros
            features.append(xy * yz * xz)  # [32, N]
        return torch.cat(features).T
