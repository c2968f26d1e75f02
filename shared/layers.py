"""Layers: Gaussians that are drawn apart and laid over each other.

A method that keeps parts of a head apart, as a mouth behind a face, poses several layers; most
have one.
"""

import torch
from torch import Tensor

from shared.gaussians import Gaussians
from shared.rasterizer import Rasterizer, Rendered

Layer = Gaussians
Layers = tuple[Layer, ...]
"""Front first; each is composited over the ones behind it, the last over the background."""


def join_layers(layers: Layers) -> Layer:
    """All Gaussians in one layer, for what does not draw them."""
    return Gaussians(*(torch.cat(parts) for parts in zip(*layers, strict=True)))


def draw_layers(
    rasterizer: Rasterizer,
    layers: Layers,
    camera: tuple[Tensor, Tensor],  # [4, 4] world to camera, [3, 3] intrinsics
    size: tuple[int, int],  # width, height
    background: Tensor | None = None,  # [C] or [H, W, C]; None is black
) -> Rendered:
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
) -> Rendered:
    """One layer over what is behind it."""
    return rasterizer.rasterize(layer, *camera, *size, background)
