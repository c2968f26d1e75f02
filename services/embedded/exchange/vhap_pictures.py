"""Pictures of a VHAP dataset as a tracked dataset stores them: square, on white, with masks."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from services.embedded.exchange.vhap_format import VhapFrame, file_inside
from shared.errors import InvalidInput
from shared.geometry.cameras import project, to_camera
from shared.head_model import HeadModel
from shared.media.image import read_gray, read_rgb, write_jpeg, write_png
from shared.rigging.seeding import paint_faces

U8 = NDArray[np.uint8]

WHITE = 255
SURELY_PERSON = 127
"""Matte values above are the person."""


class Canvas(NamedTuple):
    """The smallest even square about pictures of one size; what they leave is white."""

    width: int
    height: int

    @property
    def side(self) -> int:
        """Of the square, px."""
        longest = max(self.width, self.height)
        return longest + longest % 2

    @property
    def left(self) -> int:
        """Columns of white before the picture."""
        return (self.side - self.width) // 2

    @property
    def top(self) -> int:
        """Rows of white above it."""
        return (self.side - self.height) // 2

    @property
    def crop(self) -> tuple[float, float, float]:
        """The square in the picture's pixels: left, top, side."""
        return (-float(self.left), -float(self.top), float(self.side))

    def shift(self, K: Tensor) -> Tensor:
        """Intrinsics of the square from those of the picture. [3, 3]"""
        moved = K.clone()
        moved[:2, 2] += torch.tensor([float(self.left), float(self.top)])
        return moved

    def place(self, picture: U8, around: int) -> U8:
        """Put a picture into the square. [h, w, ...] -> [side, side, ...]"""
        square = np.full((self.side, self.side, *picture.shape[2:]), around, np.uint8)
        square[self.top : self.top + self.height, self.left : self.left + self.width] = picture
        return square

    def write_plate(self, path: Path) -> None:
        """The background: white, as GaussianAvatars trains on."""
        write_png(path, np.full((self.height, self.width, 3), WHITE, np.uint8))


class Seen(NamedTuple):
    """The mesh before a camera."""

    vertices: Tensor  # [V, 3] m, world
    viewmat: Tensor  # [4, 4] world to camera
    K: Tensor  # [3, 3] px of the square


class Pictures(NamedTuple):
    """One frame."""

    image: U8  # [S, S, 3] over white
    matte: U8  # [S, S] 255 = person


def read_pictures(folder: Path, frame: VhapFrame, canvas: Canvas) -> Pictures:
    """Read a picture and its mask and put them into the square.

    Raises:
        InvalidInput: ``exchange_file_missing``, ``bad_exchange_file``, ``unreadable_image``.
    """
    picture = read_rgb(file_inside(folder, frame.file_path, "a picture"))
    matte = read_gray(file_inside(folder, frame.fg_mask_path, "the mask of the person"))
    for what, found in (("picture", picture), ("mask", matte)):
        if found.shape[:2] != (canvas.height, canvas.width):
            raise InvalidInput(
                "bad_exchange_file",
                f"the {what} of {frame.file_path} is {found.shape[1]}x{found.shape[0]}, "
                f"transforms say {canvas.width}x{canvas.height}",
            )
    share = matte[..., None].astype(np.float32) / WHITE
    over_white = np.round(picture * share + WHITE * (1 - share)).astype(np.uint8)
    return Pictures(canvas.place(over_white, WHITE), canvas.place(matte, 0))


def write_pictures(
    out: Path, number: int, pictures: Pictures, model: HeadModel, seen: Seen
) -> None:
    """Write frame, matte and face regions of one frame of a tracked dataset."""
    for name in ("frames", "mattes", "regions"):
        (out / name).mkdir(exist_ok=True)
    write_jpeg(out / "frames" / f"{number:06d}.jpg", pictures.image)
    write_png(out / "mattes" / f"{number:06d}.png", pictures.matte)
    write_png(out / "regions" / f"{number:06d}.png", _regions(model, seen, pictures.matte))


def _regions(model: HeadModel, seen: Seen, matte: U8) -> U8:
    """The mesh's regions where the person is; beyond the mesh the nearest one. [S, S]"""
    pixels = project(seen.vertices, seen.viewmat, seen.K).numpy()
    depth = to_camera(seen.vertices, seen.viewmat)[:, 2].numpy()
    owner = paint_faces(pixels, depth, model.faces.numpy(), len(matte)).astype(np.int64)
    if not (owner >= 0).any():
        return np.zeros_like(matte)
    at = distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    labels = model.face_regions.numpy()[owner[at[0], at[1]]]
    inside: U8 = np.where(matte > SURELY_PERSON, labels, 0).astype(np.uint8)
    return inside
