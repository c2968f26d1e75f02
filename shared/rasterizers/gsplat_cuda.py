"""The CUDA rasterizer: Gaussians and surfels through gsplat (Ye et al. 2024; Apache-2.0).

Written against gsplat 1.5.3. Tensors on the CPU are copied to the GPU and their pictures and
gradients back, so that whatever works with the CPU rasterizer works with this one; what lies on
the GPU stays there. gsplat adds gradients with atomics: they repeat up to rounding.
"""

import importlib
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from shared.errors import InvalidInput, MissingModel
from shared.gaussians import Gaussians, Surfels
from shared.rasterizer import Rendered, RenderedSurfels, ScreenStatistics
from shared.rasterizer_checks import (
    check_background,
    check_batch,
    check_cameras,
    check_gaussians,
)

REPEATS_GRADIENTS = False

NEAR, FAR = 0.01, 1e10  # m
LOW_PASS = 0.3  # px^2


def require_ready() -> None:
    """Return if there are a CUDA device and gsplat.

    Raises:
        MissingModel: ``no_gpu`` or ``missing_library``.
    """
    if not torch.cuda.is_available():
        raise MissingModel("no_gpu", "no CUDA device can be used on this machine; use --device cpu")
    _gsplat()


def rasterize(  # noqa: PLR0917 - the contract's order
    gaussians: Gaussians,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
    *,
    statistics: ScreenStatistics | None = None,
) -> Rendered:
    """Draw; see the contract in ``shared/rasterizer.py``.

    Raises:
        InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
        MissingModel: See ``require_ready``.
    """
    check_gaussians(gaussians)
    batch = Gaussians(*(tensor[None] for tensor in gaussians))
    scene = _prepare(batch, (viewmat[None], K[None]), (width, height), background)
    return Rendered(*(image[0] for image in _draw_gaussians(scene, statistics)))


def rasterize_surfels(  # noqa: PLR0917 - the contract's order
    surfels: Surfels,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
    *,
    statistics: ScreenStatistics | None = None,
) -> RenderedSurfels:
    """Draw; see the contract in ``shared/rasterizer.py``.

    Raises:
        InvalidInput: ``bad_gaussians``, ``bad_camera`` or ``bad_background``.
        MissingModel: See ``require_ready``.
    """
    check_gaussians(surfels)
    batch = Surfels(*(tensor[None] for tensor in surfels))
    scene = _prepare(batch, (viewmat[None], K[None]), (width, height), background)
    return RenderedSurfels(*(image[0] for image in _draw_surfels(scene, statistics)))


def rasterize_batch(  # noqa: PLR0917 - the contract's order
    gaussians: Gaussians,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> Rendered:
    """Draw all frames at once; see the contract."""
    check_gaussians(gaussians, check_batch(gaussians, viewmats, Ks))
    return _draw_gaussians(_prepare(gaussians, (viewmats, Ks), (width, height), background), None)


def rasterize_surfels_batch(  # noqa: PLR0917 - the contract's order
    surfels: Surfels,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    background: Tensor | None = None,
) -> RenderedSurfels:
    """Draw all frames at once; see the contract."""
    check_gaussians(surfels, check_batch(surfels, viewmats, Ks))
    return _draw_surfels(_prepare(surfels, (viewmats, Ks), (width, height), background), None)


class Scene(NamedTuple):
    """Checked frames on the GPU."""

    splats: Gaussians | Surfels  # each tensor [T, N, ...]
    viewmats: Tensor  # [T, 4, 4]
    Ks: Tensor  # [T, 3, 3]
    width: int
    height: int
    background: Tensor | None  # [C] or [H, W, C]
    home: torch.device  # where the pictures go


def _gsplat() -> ModuleType:
    """The library, imported when it is needed: it compiles its kernels where no wheel has them."""
    try:
        return importlib.import_module("gsplat")
    except ModuleNotFoundError as error:
        raise MissingModel(
            "missing_library",
            f"the CUDA rasterizer needs the library {error.name!r}; "
            "install it with: pip install -e '.[gpu]'",
        ) from error


def _prepare(
    splats: Gaussians | Surfels,
    cameras: tuple[Tensor, Tensor],
    size: tuple[int, int],
    background: Tensor | None,
) -> Scene:
    """Check a batch and bring it to the GPU.

    Raises:
        InvalidInput: ``bad_camera``, ``bad_background`` or ``bad_gaussians``.
        MissingModel: See ``require_ready``.
    """
    require_ready()
    check_cameras(*cameras, *size)
    if background is not None:
        check_background(background, splats.colors, *size)
    home = splats.means.device
    device = _gpu_of(home)
    moved = type(splats)(*(tensor.to(device) for tensor in splats))
    is_good = [tensor.isfinite().all() for tensor in moved]
    is_good.append((moved.quats != 0).any(-1).all())
    if not bool(torch.stack(is_good).all()):
        raise InvalidInput(
            "bad_gaussians",
            f"of {moved.means.shape[-2]} Gaussians some have a number that is not finite "
            "or a quaternion of length zero",
        )
    viewmats, Ks = (camera.to(device, torch.float32) for camera in cameras)
    behind = None if background is None else background.to(device)
    return Scene(moved, viewmats, Ks, *size, behind, home)


def _draw_gaussians(scene: Scene, statistics: ScreenStatistics | None) -> Rendered:
    """Frames of Gaussians. [T, H, W, ...]"""
    splats = scene.splats
    if splats.means.shape[1] == 0:
        colors, single = _nothing(scene)
        return Rendered(colors, single, single)
    images, alphas, found = _gsplat().rasterization(
        *splats,  # means, quats (wxyz), scales, opacities, colours
        viewmats=scene.viewmats[:, None],
        Ks=scene.Ks[:, None],
        width=scene.width,
        height=scene.height,
        near_plane=NEAR,
        far_plane=FAR,
        eps2d=LOW_PASS,
        packed=False,
        render_mode="RGB+D",
    )
    if statistics is not None and found["means2d"].requires_grad:
        half_sides = _half_sides(scene)
        is_drawn = (found["radii"] > 0).all(-1)[0, 0]

        def add(gradient: Tensor) -> None:
            _add_statistics(statistics, gradient[0, 0] * half_sides, is_drawn)

        found["means2d"].register_hook(add)
    alpha, depth = alphas[:, 0, ..., 0], images[:, 0, ..., -1]
    colors = _over_background(images[:, 0, ..., :-1], alpha, scene.background)
    return Rendered(*(image.to(scene.home) for image in (colors, alpha, depth)))


def _draw_surfels(scene: Scene, statistics: ScreenStatistics | None) -> RenderedSurfels:
    """Frames of surfels. [T, H, W, ...]"""
    surfels = scene.splats
    if surfels.means.shape[1] == 0:
        colors, single = _nothing(scene)
        normals = single[..., None].expand(*single.shape, 3)
        return RenderedSurfels(colors, single, single, normals, single, single)
    # An alias of this drawing's own, whose gradient is that of this drawing.
    means = surfels.means.view_as(surfels.means)
    axis = scene.viewmats[:, 2, :3, None]  # [T, 3, 1]
    depths = means @ axis + scene.viewmats[:, None, 2:3, 3]  # [T, N, 1]
    # Depth goes as the last channel: gsplat takes distortion and median depth from that one. Its
    # own depth mode would add normals from depth, and its padding is memory that nobody set.
    n_channels = surfels.colors.shape[-1]
    padding = depths.new_zeros(*depths.shape[:-1], _n_padded(n_channels + 1) - n_channels - 1)
    channels = torch.cat([surfels.colors, padding, depths], -1)
    images, alphas, normals, _, distortion, median, found = _gsplat().rasterization_2dgs(
        means,
        surfels.quats,  # wxyz
        torch.cat([surfels.scales, torch.ones_like(surfels.scales[..., :1])], -1),
        surfels.opacities,
        channels[:, None],  # [T, 1, N, C]
        viewmats=scene.viewmats[:, None],
        Ks=scene.Ks[:, None],
        width=scene.width,
        height=scene.height,
        near_plane=NEAR,
        far_plane=FAR,
        packed=False,
        render_mode="RGB",
    )
    if statistics is not None and means.requires_grad:
        # From metres across the picture at the centre's depth to its half sides.
        rows = scene.viewmats[0, :2, :3]
        scale = depths[0].detach() / scene.Ks[0, (0, 1), (0, 1)] * _half_sides(scene)
        is_drawn = (found["radii"] > 0).all(-1)[0, 0]

        def add(gradient: Tensor) -> None:
            _add_statistics(statistics, gradient[0] @ rows.T * scale, is_drawn)

        means.register_hook(add)
    alpha = alphas[:, 0, ..., 0]
    rendered = RenderedSurfels(
        _over_background(images[:, 0, ..., :n_channels], alpha, scene.background),
        alpha,
        images[:, 0, ..., -1],
        normals[:, 0],
        distortion[:, 0, ..., 0],
        median[:, 0, ..., 0],
    )
    return RenderedSurfels(*(image.to(scene.home) for image in rendered))


def _gpu_of(home: torch.device) -> torch.device:
    """Where tensors that live on ``home`` are drawn."""
    return home if home.type == "cuda" else torch.device("cuda")


def _n_padded(n_channels: int) -> int:
    """The next number of channels that gsplat's surfel kernels are compiled for."""
    return n_channels if n_channels <= 4 else 1 << (n_channels - 1).bit_length()  # noqa: PLR2004


def _over_background(colors: Tensor, alpha: Tensor, background: Tensor | None) -> Tensor:
    """One colour, as gsplat takes it, or a picture. [T, H, W, C]"""
    if background is None:
        return colors
    return colors + (1 - alpha)[..., None] * background


def _nothing(scene: Scene) -> tuple[Tensor, Tensor]:
    """Pictures of no Gaussians: the background [T, H, W, C] and zeros [T, H, W]."""
    # gsplat divides by their number.
    splats = scene.splats
    zero = torch.stack([tensor.sum() for tensor in splats]).sum()  # keeps the graph whole
    shape = (splats.means.shape[0], scene.height, scene.width)
    single = zero.expand(shape)
    colors = single[..., None].expand(*shape, splats.colors.shape[-1])
    colors = _over_background(colors, single, scene.background)
    return colors.to(scene.home), single.to(scene.home)


def _half_sides(scene: Scene) -> Tensor:
    return scene.Ks.new_tensor([scene.width / 2, scene.height / 2])


def _add_statistics(statistics: ScreenStatistics, moved: Tensor, is_drawn: Tensor) -> None:
    """Add a view to the caller's buffers. [N, 2] in half sides, [N]"""
    device = statistics.gradient.device
    statistics.gradient.add_(moved.norm(dim=1).to(device))
    statistics.n_views.add_(is_drawn.to(device))
