"""ArcFace: an embedding of a face by which persons are told apart.

Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019;
IResNet-50 with layers and parameter names of deepinsight/insightface (``backbones/iresnet.py``).
The face is turned, scaled and shifted so that eyes, nose and mouth corners come to lie where it was
trained to find them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

FILE = "arcface_r50.pth"
FACE_PX = 112
_PLACES = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)
"""Where eyes, tip of the nose and mouth corners belong in the picture, left to right, in pixels."""
_LANDMARKS = (468, 473, 4, 61, 291)
"""The same points of the face mesh: irises, tip of the nose, mouth corners."""
_BLOCKS = ((64, 3), (128, 4), (256, 14), (512, 3))


class Block(nn.Module):
    """A residual block with the normalisation before the convolution."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(n_in)
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.prelu = nn.PReLU(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample = (
            nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
            if stride != 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """One block. [B, C, H, W]"""
        kept = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + kept


class ArcFace(nn.Module):
    """IResNet-50; names and shapes are those of the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        n_in = 64
        for index, (width, n_blocks) in enumerate(_BLOCKS, 1):
            blocks = [Block(n_in, width, 2), *(Block(width, width, 1) for _ in range(n_blocks - 1))]
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
            n_in = width
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings of aligned faces, RGB in [-1, 1]. [B, 3, 112, 112] -> [B, 512]"""
        x = self.prelu(self.bn1(self.conv1(faces)))
        for index in range(1, len(_BLOCKS) + 1):
            x = self.get_submodule(f"layer{index}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


def align_face(frame: U8, landmarks: F32) -> U8:
    """Cut the face as ArcFace was trained to see it. [H, W, 3], [478, 3] px -> [112, 112, 3]"""
    points = landmarks[list(_LANDMARKS), :2].astype(np.float64)
    # The best turn, scale and shift of points in the plane is one division of complex numbers.
    source = points @ np.array([1, 1j])
    target = _PLACES.astype(np.float64) @ np.array([1, 1j])
    from_middle = source - source.mean()
    spread = float((from_middle.conj() * from_middle).real.sum())
    factor = (from_middle.conj() * (target - target.mean())).sum() / max(spread, 1e-12)
    shift = target.mean() - factor * source.mean()
    matrix = np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )
    return np.asarray(cv2.warpAffine(frame, matrix, (FACE_PX, FACE_PX)), dtype=np.uint8)
