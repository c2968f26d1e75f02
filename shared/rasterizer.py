"""The rasterizer contract: posed Gaussians or surfels and a camera in, an image out.

One module per implementation in ``shared/rasterizers/``; the file name is the registry name.
``choose_rasterizer`` in ``shared/rasterizer_choice.py`` says which one a machine uses.
"""

from typing import NamedTuple, Protocol

from torch import Tensor

from shared.gaussians import Gaussians, Surfels


class Rendered(NamedTuple):
    """What a rasterizer returns for Gaussians; a batch has a leading T."""

    colors: Tensor  # [H, W, C] composited over the background
    alpha: Tensor  # [H, W] accumulated opacity
    depth: Tensor  # [H, W] alpha-weighted depth sum (divide by alpha for the mean), m


class RenderedSurfels(NamedTuple):
    """What a rasterizer returns for surfels; a batch has a leading T.

    With w the weight of a surfel in a pixel (alpha times the transmittance in front of it) and z
    its depth, which is that of its centre, in metres along the optical axis.
    """

    colors: Tensor  # [H, W, C] composited over the background
    alpha: Tensor  # [H, W] sum of w
    depth: Tensor  # [H, W] sum of w z (divide by alpha for the mean), m
    normals: Tensor  # [H, W, 3] sum of w n: world space, each unit n turned to the camera
    distortion: Tensor  # [H, W] sum over all pairs (i, j) of w_i w_j |z_i - z_j|, m
    median_depth: Tensor  # [H, W] z of the last surfel with more than half the light left, or 0


class ScreenStatistics(NamedTuple):
    """What densification asks of each Gaussian: buffers that every backward pass adds to.

    ``gradient / n_views`` is the figure that gsplat's default strategy compares with 0.0002.
    """

    gradient: Tensor  # [N] float32, sum over views of |d(loss) / d(2D mean)|, half sides as unit
    n_views: Tensor  # [N] int64, views in which the Gaussian was drawn


class Rasterizer(Protocol):
    """What a rasterizer module offers.

    Results lie on the device of ``means``. Colours may have any number of channels.
    """

    REPEATS_GRADIENTS: bool
    """Equal input gives equal bytes in gradients too; in pictures it always does."""

    def require_ready(self) -> None:
        """Return if this machine can draw with it.

        Raises:
            MissingModel: ``missing_library`` or ``no_gpu``, with what to do about it.
        """
        ...

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

        Raises:
            InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
        """
        ...

    def rasterize_surfels(  # noqa: PLR0917 - the order of gsplat
        self,
        surfels: Surfels,
        viewmat: Tensor,  # [4, 4] world to camera, OpenCV axes
        K: Tensor,  # [3, 3] intrinsics in pixels
        width: int,
        height: int,
        background: Tensor | None = None,  # [C] or [H, W, C]; None is black
        *,
        statistics: ScreenStatistics | None = None,
    ) -> RenderedSurfels:
        """Draw 2D Gaussians; differentiable in the surfels and the background.

        2DGS (Huang et al. 2024) with the conventions of gsplat's ``rasterization_2dgs``. A pixel's
        ray meets a surfel's plane at (u, v), counted in standard deviations from its centre. Then
        alpha = min(0.999, opacity exp(-rho/2)), rho = min(u^2 + v^2, 2 |pixel - c|^2): the second
        term is a low-pass of sqrt(1/2) px around c, the middle of the box around the disc of one
        standard deviation as projected. Skipping and ending as for Gaussians; order of drawing is
        that of the centres' depths. The gradient of ``median_depth`` is that of the depth of the
        surfel chosen, not of the choice.

        Where gsplat and the authors' code differ, this is gsplat's: alpha ends at 0.999, not 0.99;
        depths are those of centres, not of hits; distortion is of absolute differences of depth,
        not of squared ones of m = far/(far - near) (1 - near/z), which a caller has as
        sum(w) sum(w m^2) - sum(w m)^2 from two more channels, m and m^2.

        Drawn are surfels whose centre lies 0.01 m to 1e10 m in front of the camera. One of whose
        visible disc, at least one standard deviation, something is nearer than 0.01 m has a
        picture without bounds: the CPU leaves it out, gsplat draws a part. A surfel reaches as
        far as alpha is 1/255; gsplat cuts low-passed ones at tile borders. In ``statistics`` the
        2D mean moves with the centre, parallel to the picture.

        Raises:
            InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
        """
        ...

    def rasterize_batch(  # noqa: PLR0917 - the order of gsplat
        self,
        gaussians: Gaussians,  # each tensor with a leading T
        viewmats: Tensor,  # [T, 4, 4]
        Ks: Tensor,  # [T, 3, 3]
        width: int,
        height: int,
        background: Tensor | None = None,  # [C] or [H, W, C], for all frames
    ) -> Rendered:
        """``rasterize`` for T frames of the same N; on a GPU at once."""
        ...

    def rasterize_surfels_batch(  # noqa: PLR0917 - the order of gsplat
        self,
        surfels: Surfels,  # each tensor with a leading T
        viewmats: Tensor,  # [T, 4, 4]
        Ks: Tensor,  # [T, 3, 3]
        width: int,
        height: int,
        background: Tensor | None = None,  # [C] or [H, W, C], for all frames
    ) -> RenderedSurfels:
        """``rasterize_surfels`` for T frames of the same N; on a GPU at once."""
        ...
