"""LPIPS and ArcFace against plain references."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from services.evaluator.networks.arcface import ArcFace, align_face
from services.evaluator.networks.perceptual import LAYOUTS, load_perceptual
from tests.published_parameters import State, partly_random, random_state, save_state


class Step(NamedTuple):
    """One convolution, whether its features are taken, and whether pooling follows."""

    layer: int
    stride: int = 1
    padding: int = 1
    is_taken: bool = False
    is_pooled: bool = False


ALEXNET = (
    Step(0, 4, 2, is_taken=True, is_pooled=True),
    Step(3, 1, 2, is_taken=True, is_pooled=True),
    *(Step(layer, is_taken=True) for layer in (6, 8, 10)),
)
VGG16 = tuple(
    Step(layer, is_taken=layer in {2, 7, 14, 21, 28}, is_pooled=layer in {2, 7, 14, 21})
    for layer in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
)


def plain_features(x: Tensor, s: State, name: str) -> list[Tensor]:
    """Features that are compared, of RGB in [0, 1]. [B, 3, H, W]"""
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    x = (2 * x - 1 - shift) / torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    taken = []
    for step in ALEXNET if name == "alexnet" else VGG16:
        weight, bias = s[f"features.{step.layer}.weight"], s[f"features.{step.layer}.bias"]
        x = torch.clamp(conv2d(x, weight, bias, stride=step.stride, padding=step.padding), min=0)
        if step.is_taken:
            taken.append(x)
        if step.is_pooled:
            x = max_pool2d(x, 3 if name == "alexnet" else 2, 2)
    return taken


@pytest.mark.parametrize(
    ("backbone", "listed"), [("alexnet", "lpips_alex"), ("vgg16", "lpips_vgg")]
)
def test_lpips_is_that_of_the_plain_network(backbone: str, listed: str, tmp_path: Path) -> None:
    """Unit-length features, weighted squares, mean over pixels, sum over layers."""
    features = partly_random(backbone)
    weights = {key: value.abs() for key, value in random_state(listed).items()}
    layout = LAYOUTS[backbone]  # type: ignore[index]  # one of its keys
    save_state(tmp_path, layout.backbone_file, features)
    save_state(tmp_path, layout.weights_file, weights)
    preds, target = torch.rand(2, 2, 70, 64, 3, generator=torch.Generator().manual_seed(1))

    found = load_perceptual(tmp_path, backbone).compare(preds, target)  # type: ignore[arg-type]

    expected = torch.zeros(2)
    sides = [plain_features(x.permute(0, 3, 1, 2), features, backbone) for x in (preds, target)]
    for layer, (a, b) in enumerate(zip(*sides, strict=True)):
        unit = [x / ((x**2).sum(1, keepdim=True) ** 0.5 + 1e-10) for x in (a, b)]
        gap = (unit[0] - unit[1]) ** 2 * weights[f"lin{layer}.model.1.weight"].view(1, -1, 1, 1)
        expected += gap.sum(1).mean((1, 2))
    assert 5 == len(sides[0])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (found > 0.01).all()


def test_arcface_is_that_of_the_plain_network() -> None:
    """IResNet-50, block by block."""
    s = random_state("arcface_r50", seed=3)
    network = ArcFace().eval()
    network.load_state_dict(s, strict=False)
    faces = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def norm(x: Tensor, key: str) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        scale = s[f"{key}.weight"] / (s[f"{key}.running_var"] + 1e-5) ** 0.5
        shift = s[f"{key}.bias"] - s[f"{key}.running_mean"] * scale
        return x * scale.view(shape) + shift.view(shape)

    def bend(x: Tensor, key: str) -> Tensor:
        return torch.where(x > 0, x, x * s[f"{key}.weight"].view(1, -1, 1, 1))

    x = bend(norm(conv2d(faces, s["conv1.weight"], padding=1), "bn1"), "prelu")
    for group, n_blocks in enumerate((3, 4, 14, 3), 1):
        for block in range(n_blocks):
            key, stride = f"layer{group}.{block}", 2 if block == 0 else 1
            y = conv2d(norm(x, f"{key}.bn1"), s[f"{key}.conv1.weight"], padding=1)
            y = bend(norm(y, f"{key}.bn2"), f"{key}.prelu")
            y = norm(conv2d(y, s[f"{key}.conv2.weight"], stride=stride, padding=1), f"{key}.bn3")
            if block == 0:
                x = conv2d(x, s[f"{key}.downsample.0.weight"], stride=2)
                x = norm(x, f"{key}.downsample.1")
            x = x + y
    flat = norm(x, "bn2").flatten(1)
    expected = norm(flat @ s["fc.weight"].T + s["fc.bias"], "features")
    with torch.inference_mode():
        found = network(faces)

    scale = float(expected.abs().max())
    torch.testing.assert_close(found / scale, expected / scale, atol=1e-5, rtol=1e-5)


def test_faces_are_turned_upright_and_to_size() -> None:
    """A face twice as large and turned lands where ArcFace looks for it."""
    landmarks = np.full((478, 3), 500, np.float32)
    places = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
                       [41.5493, 92.3655], [70.7299, 92.2041]])  # fmt: skip
    turn = 2 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    spots = places @ turn.T + [90, 20]
    landmarks[[468, 473, 4, 61, 291], :2] = spots
    frame = np.zeros((300, 400, 3), np.uint8)
    for x, y in spots.round().astype(int):
        frame[y - 3 : y + 4, x - 3 : x + 4] = 255

    face = align_face(frame, landmarks)

    assert (112, 112, 3) == face.shape
    for x, y in places.round().astype(int):
        assert face[y, x, 0] > 200
    assert face[20, 20].max() == 0
