"""Layers: Gaussians or surfels that are drawn apart and laid over each other.

A method that keeps parts of a head apart, as a mouth behind a face, poses several layers; most
have one.
"""

import torch
from torch import Tensor

from shared.gaussians import Gaussians, Surfels
from shared.rasterizer import Rasterizer, Rendered, RenderedSurfels

Layer = Gaussians | Surfels
Layers = tuple[Layer, ...]
"""Front first; each is composited over the ones behind it, the last over the background. All are
of one kind."""
Picture = Rendered | RenderedSurfels
"""What one layer of surfels shows beyond colours, alpha and depth is kept; of several it is not."""
FLATNESS = 0.01
"""Thickness of a surfel that has to be a Gaussian, as a share of its shorter axis."""


def join_layers(layers: Layers) -> Gaussians:
    """All Gaussians in one layer, for what does not draw them; surfels as flat Gaussians."""
    solid = [thicken(layer) if isinstance(layer, Surfels) else layer for layer in layers]
    return Gaussians(*(torch.cat(parts) for parts in zip(*solid, strict=True)))


def thicken(surfels: Surfels) -> Gaussians:
    """The same discs as Gaussians, nearly flat."""
    thickness = FLATNESS * surfels.scales.amin(1, keepdim=True)
    return Gaussians(**surfels._replace(scales=torch.cat([surfels.scales, thickness], 1))._asdict())


def choose_rows(layer: Layer, rows: Tensor) -> Layer:
    """Some of a layer's Gaussians by number. [M]"""
    return type(layer)(*(values.index_select(0, rows) for values in layer))


def draw_layers(
    rasterizer: Rasterizer,
    layers: Layers,
    camera: tuple[Tensor, Tensor],  # [4, 4] world to camera, [3, 3] intrinsics
    size: tuple[int, int],  # width, height
    background: Tensor | None = None,  # [C] or [H, W, C]; None is black
) -> Picture:
    """Draw one over the other; alpha and depth are those of the whole."""
    *front, last = layers
    drawn = _draw(rasterizer, last, camera, size, background)
    for layer in reversed(front):
        over = _draw(rasterizer, layer, camera, size, drawn.colors)
        through = 1 - over.alpha
        drawn = Rendered(
            colors=over.colors,
            alpha=over.alpha + through * drawn.alpha,
            depth=over.depth + through * drawn.depth,
        )
    return drawn


def _draw(
    rasterizer: Rasterizer,
    layer: Layer,
    camera: tuple[Tensor, Tensor],
    size: tuple[int, int],
    background: Tensor | None,
) -> Picture:
    """One layer over what is behind it."""
    if isinstance(layer, Surfels):
        return rasterizer.rasterize_surfels(layer, *camera, *size, background)
    return rasterizer.rasterize(layer, *camera, *size, background)
