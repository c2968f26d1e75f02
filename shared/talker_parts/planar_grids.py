"""Features of a place from three planes at many resolutions (TalkingGaussian, after ER-NeRF).

The source's are hash grids; their finest plane has fewer cells than its table has entries, so no
two cells ever share one, and plain grids are the same thing.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

N_LEVELS = 12
N_FEATURES = 3 * N_LEVELS
BOUND_M = 0.15
"""Half the side of the box."""
_START = 1e-4
_AXES = ((0, 1), (1, 2), (0, 2))


class PlanarGrids(nn.Module):
    """[N, 3] -> [N, 36]"""

    centre: Tensor  # [3] m

    def __init__(self, centre: Tensor, base: float, finest: float) -> None:
        super().__init__()
        self.levels = nn.ParameterList(
            nn.Parameter(torch.empty(3, 1, side, side).uniform_(-_START, _START))
            for side in resolutions(base, finest)
        )
        self.register_buffer("centre", centre.clone())

    def forward(self, places: Tensor) -> Tensor:
        """Features of each place, plane by plane; beyond the box its border's."""
        inside = (places - self.centre) / BOUND_M
        at = torch.stack([inside[:, axes] for axes in _AXES])[:, None]  # [3, 1, N, 2]
        sampled = [
            grid_sample(level, at, padding_mode="border", align_corners=True)[:, 0, 0]
            for level in self.levels
        ]
        return torch.cat(sampled).T


def resolutions(base: float, finest: float) -> list[int]:
    """Corners along a side, growing by a constant factor from ``base`` cells to ``finest``."""
    growth = (finest / base) ** (1 / (N_LEVELS - 1))
    return [int(base * growth**level) + 2 for level in range(N_LEVELS)]
