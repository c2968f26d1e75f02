"""``cameras.json`` as 3D Gaussian Splatting writes it and the SIBR viewers read it.

Each camera: size, focal lengths, position in the world and the rotation from camera to world
(OpenCV axes). The format has no principal point; ours is added as ``cx`` and ``cy``, which
other programs pass over.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from shared.errors import InvalidInput


class View(NamedTuple):
    """One camera."""

    name: str
    width: int
    height: int
    viewmat: Tensor  # [4, 4] world to camera
    K: Tensor  # [3, 3] px


class StoredCamera(BaseModel):
    """One entry of the file; what else is there is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    id: int
    """Place in the file."""
    img_name: str
    """What the camera is called."""
    width: int = Field(gt=0, le=16_384)
    """Pixels."""
    height: int = Field(gt=0, le=16_384)
    """Pixels."""
    position: tuple[float, float, float]
    """Of the camera in the world, m."""
    rotation: tuple[
        tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]
    ]
    """Camera to world, rows."""
    fx: float = Field(gt=0)
    """Focal length, px."""
    fy: float = Field(gt=0)
    """Focal length, px."""
    cx: float | None = None
    """Principal point, px; the middle when not given."""
    cy: float | None = None
    """Principal point, px; the middle when not given."""


def write_cameras(path: Path, views: list[View]) -> None:
    """Write the cameras in their order."""
    stored = []
    for number, view in enumerate(views):
        turn = view.viewmat[:3, :3].double()
        centre = -turn.T @ view.viewmat[:3, 3].double()
        entry = {"id": number, "img_name": view.name, "width": view.width, "height": view.height}
        entry |= {"position": centre.tolist(), "rotation": turn.T.tolist()}
        K = view.K.tolist()
        entry |= {"fy": K[1][1], "fx": K[0][0], "cx": K[0][2], "cy": K[1][2]}
        stored.append(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def read_cameras(path: Path) -> list[View]:
    """Read the cameras in their order.

    Raises:
        InvalidInput: ``bad_exchange_file``.
    """
    try:
        stored = TypeAdapter(list[StoredCamera]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidInput(
            "bad_exchange_file", f"{path} is not a list of cameras: {error}"
        ) from error
    return [_view(camera) for camera in stored]


def _view(camera: StoredCamera) -> View:
    turn = np.array(camera.rotation).T
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.from_numpy(turn)
    viewmat[:3, 3] = torch.from_numpy(-turn @ np.array(camera.position))
    cx = camera.width / 2 if camera.cx is None else camera.cx
    cy = camera.height / 2 if camera.cy is None else camera.cy
    K = torch.tensor([[camera.fx, 0, cx], [0, camera.fy, cy], [0, 0, 1.0]])
    return View(camera.img_name, camera.width, camera.height, viewmat, K)
