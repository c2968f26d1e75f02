"""LPIPS: weighted distance of two pictures' features in a network trained to tell things apart.

Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018,
version 0.1 of richzhang/PerceptualSimilarity (BSD-2-Clause): features of five layers scaled to unit
length in each pixel, squared differences weighted per channel, averaged over pixels, summed over
layers. Parameter names are those of torchvision's AlexNet and VGG-16 and of LPIPS's own weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from services.evaluator.networks.weight_file import load_network
from shared.errors import MissingModel

Backbone = Literal["alexnet", "vgg16"]
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_CLASSIFIER = ("classifier.",)


class Layout(NamedTuple):
    """Where a backbone and its weights come from, and what is taken of it."""

    backbone_file: str
    weights_file: str
    taps: tuple[int, ...]
    """Places in ``features`` after which features are compared."""
    channels: tuple[int, ...]


LAYOUTS: dict[Backbone, Layout] = {
    "alexnet": Layout(
        "alexnet-owt-7be5be79.pth",
        "lpips_alex.pth",
        (1, 4, 7, 9, 11),
        (64, 192, 384, 256, 256),
    ),
    "vgg16": Layout(
        "vgg16-397923af.pth",
        "lpips_vgg.pth",
        (3, 8, 15, 22, 29),
        (64, 128, 256, 512, 512),
    ),
}


class Features(nn.Module):
    """The convolutional part of a published network."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)


class Weights(nn.Module):
    """One non-negative weight per channel of each compared layer."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for index, n_channels in enumerate(channels):
            layer = nn.Module()
            # Place 0 of the published layer is dropout, which training used.
            layer.model = nn.Sequential(nn.Identity(), nn.Conv2d(n_channels, 1, 1, bias=False))
            self.add_module(f"lin{index}", layer)


class Perceptual(NamedTuple):
    """A loaded LPIPS."""

    layout: Layout
    features: Features
    weights: Weights

    @torch.inference_mode()
    def compare(self, preds: Tensor, target: Tensor) -> Tensor:
        """Distance of pairs of pictures in [0, 1], 0 for equal ones. [B, H, W, 3] twice -> [B]"""
        shift, scale = torch.tensor(_SHIFT), torch.tensor(_SCALE)
        x = (torch.cat([preds, target]) * 2 - 1 - shift) / scale
        x = x.permute(0, 3, 1, 2)  # [2B, 3, H, W]
        total = torch.zeros(len(preds))
        layers = list(self.features.features)[: self.layout.taps[-1] + 1]
        weights = iter(self.weights.parameters())
        for index, layer in enumerate(layers):
            x = layer(x)
            if index in self.layout.taps:
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                a, b = unit.chunk(2)
                # A 1x1 layer without bias is a weighted sum over channels.
                weight = next(weights).flatten()  # [C]
                total = total + torch.einsum("bchw,c->bhw", (a - b).square(), weight).mean((1, 2))
        return total


def load_perceptual(models_dir: Path, backbone: Backbone) -> Perceptual:
    """LPIPS over a backbone.

    Raises:
        MissingModel: ``missing_model_file`` names all files that are absent.
        InvalidInput: ``bad_model_file``.
    """
    layout = LAYOUTS[backbone]
    names = (layout.weights_file, layout.backbone_file)
    if missing := [name for name in names if not (models_dir / name).is_file()]:
        raise MissingModel(
            "missing_model_file",
            f"{' and '.join(missing)} not in the models folder (TALKSPLAT_MODELS_DIR); "
            "`talksplat models` says where their owners publish them",
        )
    layers = _alexnet() if backbone == "alexnet" else _vgg16()
    features = load_network(Features(layers), models_dir, layout.backbone_file, ignored=_CLASSIFIER)
    return Perceptual(
        layout, features, load_network(Weights(layout.channels), models_dir, layout.weights_file)
    )


def _alexnet() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    n_in = 3
    for width, n_layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(n_layers):
            layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
            n_in = width
        layers.append(nn.MaxPool2d(2, 2))
    return layers
