"""The transforms files of a VHAP dataset: which picture shows which moment from which camera.

Source: the dataset format of GaussianAvatars and its tracker VHAP (Qian et al.). Cameras are given
as camera-to-world with OpenGL axes (y up, z backwards); ours are world-to-camera with OpenCV's.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from shared.errors import InvalidInput

CANONICAL = "canonical_flame_param.npz"
CANONICAL_JAW = 0.3
"""Opening of the canonical head's jaw, rad."""
SPLITS = ("train", "val", "test")
_Row = tuple[float, float, float, float]


class VhapFrame(BaseModel):
    """One picture; what else is there is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    timestep_index: int = Field(ge=0)
    """Moment that it shows."""
    camera_index: int = Field(ge=0)
    """Camera that it was taken with."""
    camera_id: str = ""
    """What the camera is called."""
    w: int = Field(gt=0, le=16_384)
    """Width, px."""
    h: int = Field(gt=0, le=16_384)
    """Height, px."""
    fl_x: float = Field(gt=0)
    """Focal length, px."""
    fl_y: float = Field(gt=0)
    """Focal length, px."""
    cx: float
    """Principal point, px."""
    cy: float
    """Principal point, px."""
    transform_matrix: tuple[_Row, _Row, _Row, _Row]
    """Camera to world, OpenGL axes."""
    file_path: str
    """Of the picture, inside the dataset."""
    fg_mask_path: str | None = None
    """Of the person's matte."""
    flame_param_path: str | None = None
    """Of the FLAME parameters of the moment."""


def read_transforms(folder: Path, split: str) -> list[VhapFrame]:
    """Frames of a split; none where there is no such file. Names at the top level are defaults.

    Raises:
        InvalidInput: ``bad_exchange_file``.
    """
    path = folder / f"transforms_{split}.json"
    if not path.is_file():
        return []
    try:
        stored = _Transforms.model_validate_json(path.read_bytes())
        defaults = {k: v for k, v in (stored.model_extra or {}).items() if k in _SHARED}
        return [VhapFrame.model_validate(defaults | frame) for frame in stored.frames]
    except ValidationError as error:
        raise InvalidInput("bad_exchange_file", f"{path}: {error}") from error


class _Transforms(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    frames: list[dict[str, Any]]
    """Each a VhapFrame, perhaps without what the file says once for all."""


_SHARED = ("w", "h", "fl_x", "fl_y", "cx", "cy")


def file_inside(folder: Path, name: str | None, what: str) -> Path:
    """A file of the dataset by its path.

    Raises:
        InvalidInput: ``exchange_file_missing``; ``bad_exchange_file`` for a path that leads out.
    """
    if name is None:
        raise InvalidInput(
            "exchange_file_missing", f"{folder} does not say where {what} is; export it with it"
        )
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InvalidInput("bad_exchange_file", f"{name!r} leads out of {folder}")
    if not (folder / path).is_file():
        raise InvalidInput("exchange_file_missing", f"{folder / path} is not there: {what}")
    return folder / path


def camera_of(frame: VhapFrame) -> tuple[Tensor, Tensor]:
    """World-to-camera [4, 4] and intrinsics [3, 3] of a frame."""
    pose = torch.tensor(frame.transform_matrix, dtype=torch.float64)
    pose[:, 1:3] *= -1
    K = [[frame.fl_x, 0, frame.cx], [0, frame.fl_y, frame.cy], [0, 0, 1.0]]
    return torch.linalg.inv(pose).float(), torch.tensor(K)


def to_transform(viewmat: Tensor) -> list[list[float]]:
    """Camera-to-world with OpenGL axes. [4, 4]"""
    pose = torch.linalg.inv(viewmat.double())
    pose[:, 1:3] *= -1
    rows: list[list[float]] = pose.tolist()
    return rows
