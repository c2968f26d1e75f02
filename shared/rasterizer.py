"""The rasterizer contract: posed Gaussians and a camera in, an image out.

One module per implementation in ``shared/rasterizers/``; the file name is the registry name.
"""

from typing import NamedTuple, Protocol

from torch import Tensor

from shared.gaussians import Gaussians


class Rendered(NamedTuple):
    """What a rasterizer returns."""

    colors: Tensor  # [H, W, C] composited over the background
    alpha: Tensor  # [H, W] accumulated opacity
    depth: Tensor  # [H, W] alpha-weighted depth sum (divide by alpha for the mean), m


class ScreenStatistics(NamedTuple):
    """What densification asks of each Gaussian: buffers that every backward pass adds to.

    ``gradient / n_views`` is the figure that gsplat's default strategy compares with 0.0002.
    """

    gradient: Tensor  # [N] float32, sum over views of |d(loss) / d(2D mean)|, half sides as unit
    n_views: Tensor  # [N] int64, views in which the Gaussian was drawn


class Rasterizer(Protocol):
    """What a rasterizer module offers."""

    def rasterize(  # noqa: PLR0917 - the order of gsplat
        self,
        gaussians: Gaussians,
        viewmat: Tensor,  # [4, 4] world to camera, OpenCV axes
        K: Tensor,  # [3, 3] intrinsics in pixels
        width: int,
        height: int,
        background: Tensor | None = None,  # [C] or [H, W, C]; None is black
        *,
        statistics: ScreenStatistics | None = None,
    ) -> Rendered:
        """Draw; differentiable in the Gaussians and the background.

        The maths is gsplat's: EWA projection with a 0.3 px^2 low-pass on the 2D covariance,
        pixel centres at half integers, alpha = min(0.999, opacity exp(-sigma)), contributions
        under 1/255 skipped, front-to-back until transmittance falls to 1e-4.
        ``statistics`` is added to when the gradient is computed, never by drawing alone.
        """
        ...
