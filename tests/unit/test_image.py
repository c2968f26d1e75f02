"""Pictures in files: accurate frames, exact masks, refusals."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.errors import InvalidInput
from shared.media import image

U8 = NDArray[np.uint8]


def colourful() -> U8:
    """Smooth colours with sharp edges in hue, as lips on skin. [64, 64, 3]"""
    rows, columns = np.mgrid[0:64, 0:64]
    picture = np.stack([4 * columns, 4 * rows, 255 - 4 * columns], axis=-1).astype(np.uint8)
    picture[20:40, 20:40] = (200, 30, 40)
    return picture


def test_jpeg_frames_reach_45_decibels(tmp_path: Path) -> None:
    """Stored frames are near the decoded ones, edges in colour included."""
    image.write_jpeg(tmp_path / "a.jpg", colourful())

    error = image.read_rgb(tmp_path / "a.jpg").astype(float) - colourful()

    assert 10 * np.log10(255**2 / np.square(error).mean()) > 45


def test_masks_are_exact(tmp_path: Path) -> None:
    """PNG loses nothing."""
    mask = colourful()[..., 0]
    image.write_png(tmp_path / "a.png", mask)

    assert np.array_equal(mask, image.read_gray(tmp_path / "a.png"))


def test_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    """Nothing but the pixels is in the file."""
    for name in ("a", "b"):
        image.write_png(tmp_path / f"{name}.png", colourful())

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert image.encode_jpeg(colourful()) == image.encode_jpeg(colourful())


def test_text_is_no_picture(tmp_path: Path) -> None:
    """What cannot be decoded is refused with a code."""
    (tmp_path / "a.png").write_text("hello", encoding="utf-8")

    with pytest.raises(InvalidInput) as refusal:
        image.read_rgb(tmp_path / "a.png")

    assert "unreadable_image" == refusal.value.code


def test_huge_picture_is_refused_before_decoding(tmp_path: Path) -> None:
    """A small file that unfolds to a hundred million pixels is not unfolded."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")

    with pytest.raises(InvalidInput) as refusal:
        image.read_gray(tmp_path / "a.png")

    assert "unreadable_image" == refusal.value.code
