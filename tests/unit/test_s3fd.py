"""S3FD against a plain reference, and from its candidates to one box per face."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from services.evaluator.lip_sync.detection import detect
from services.evaluator.networks.s3fd import S3FD
from tests.published_parameters import State, random_state

VGG = (0, 2, "M", 5, 7, "M", 10, 12, 14, "C", 17, 19, 21, "M", 24, 26, 28, "M")


def plain_s3fd(x: Tensor, s: State) -> list[tuple[list[float], float]]:
    """Box and score of every square of one picture, scale by scale, row by row."""
    height, width = x.shape[-2:]
    maps = []

    def layer(x: Tensor, key: str, **how: int) -> Tensor:
        return conv2d(x, s[f"{key}.weight"], s[f"{key}.bias"], **how)

    def scaled(x: Tensor, key: str) -> Tensor:
        length = (x**2).sum(1, keepdim=True) ** 0.5 + 1e-10
        return x / length * s[f"{key}.weight"].view(1, -1, 1, 1)

    for step in VGG:
        if isinstance(step, str):
            x = max_pool2d(x, 2, 2, ceil_mode=step == "C")
            continue
        x = torch.clamp(layer(x, f"vgg.{step}", padding=1), min=0)
        if step in {14, 21, 28}:
            maps.append(scaled(x, {14: "L2Norm3_3", 21: "L2Norm4_3", 28: "L2Norm5_3"}[step]))
    x = torch.clamp(layer(x, "vgg.31", padding=6, dilation=6), min=0)
    x = torch.clamp(layer(x, "vgg.33"), min=0)
    maps.append(x)
    for first, second in ((0, 1), (2, 3)):
        x = torch.clamp(layer(x, f"extras.{first}"), min=0)
        x = torch.clamp(layer(x, f"extras.{second}", stride=2, padding=1), min=0)
        maps.append(x)
    found = []
    for scale, features in enumerate(maps):
        places = layer(features, f"loc.{scale}", padding=1)[0]
        grades = layer(features, f"conf.{scale}", padding=1)[0]
        side, stride = 16 * 2**scale, 4 * 2**scale
        for row in range(places.shape[1]):
            for column in range(places.shape[2]):
                dx, dy, dw, dh = (float(v) for v in places[:, row, column])
                *others, face = (float(v) for v in grades[:, row, column])
                score = 1 / (1 + math.exp(max(others) - face))
                cx = (column + 0.5) * stride / width + 0.1 * dx * side / width
                cy = (row + 0.5) * stride / height + 0.1 * dy * side / height
                w, h = side / width * math.exp(0.2 * dw), side / height * math.exp(0.2 * dh)
                found.append(([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], score))
    return found


@pytest.fixture(scope="module")
def state() -> State:
    """Random weights of the published layout."""
    return random_state("s3fd", seed=1)


def test_candidates_are_those_of_the_plain_network(state: State) -> None:
    """Boxes and scores at all six scales, of a picture whose sides pooling does not divide."""
    network = S3FD().eval()
    network.load_state_dict(state)
    picture = torch.randn(1, 3, 52, 76, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        (found,) = network(picture)

    expected = plain_s3fd(picture, state)
    boxes = torch.tensor([box for box, _ in expected])
    scores = torch.tensor([score for _, score in expected])
    torch.testing.assert_close(found.boxes, boxes, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.scores, scores, atol=1e-5, rtol=1e-5)


class TwoSquares(torch.nn.Module):
    """Answers as a detector would: four candidates of two faces, one of them unsure."""

    def forward(self, pictures: Tensor) -> list[object]:
        """The same for every picture, which it checks. [B, 3, H, W]"""
        from services.evaluator.networks.s3fd import Detections  # noqa: PLC0415 - the answer's form

        assert (3, 60, 80) == tuple(pictures.shape[1:])
        boxes = torch.tensor(
            [[0.1, 0.1, 0.3, 0.5], [0.11, 0.1, 0.31, 0.5], [0.6, 0.2, 0.8, 0.6], [0, 0, 1, 1]]
        )
        return [Detections(boxes, torch.tensor([0.95, 0.99, 0.92, 0.6]))] * len(pictures)


def test_one_box_per_face_in_pixels_the_surest_first() -> None:
    """Pictures are looked at in a quarter of their size; what is unsure is nobody."""
    frames = [np.zeros((240, 320, 3), np.uint8)] * 2

    found = detect(TwoSquares(), frames)  # type: ignore[arg-type]  # it answers alike

    assert [2, 2] == [len(boxes) for boxes in found]
    np.testing.assert_allclose(found[0][0], [0.11 * 320, 24, 0.31 * 320, 120], rtol=1e-5)
    np.testing.assert_allclose(found[0][1], [192, 48, 256, 144], rtol=1e-5)
