"""Cuts between shots are found; motion, flashes and fades are not cuts."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from services.preprocess.shot_cuts import find_cuts

U8 = NDArray[np.uint8]

HEIGHT, WIDTH = 36, 64


def scene(seed: int) -> U8:
    """A blurred picture larger than a thumbnail. [72, 256, 3]"""
    rng = np.random.default_rng(seed)
    picture = gaussian_filter(rng.standard_normal((72, 256, 3)), (4, 4, 0))
    return (
        np.asarray(128 + 60 * picture / picture.std(), dtype=np.float64)
        .clip(0, 255)
        .astype(np.uint8)
    )


def still(seed: int, n_frames: int) -> list[U8]:
    """A shot in which only noise changes."""
    rng = np.random.default_rng(seed + 100)
    picture = scene(seed)[:HEIGHT, :WIDTH].astype(int)
    return [
        np.clip(picture + rng.integers(-3, 4, picture.shape), 0, 255).astype(np.uint8)
        for _ in range(n_frames)
    ]


def test_a_still_shot_has_no_cut() -> None:
    """Noise alone is nothing."""
    assert [] == find_cuts(np.stack(still(0, 50)))


def test_cuts_are_found_where_they_are() -> None:
    """Three shots have two cuts, at the first frames of the second and the third."""
    frames = still(0, 20) + still(1, 15) + still(2, 20)

    assert [20, 35] == find_cuts(np.stack(frames))


@pytest.mark.parametrize("pixels_per_frame", [1, 3, 8])
def test_a_moving_camera_is_no_cut(pixels_per_frame: int) -> None:
    """A pan, even a fast one, is not a cut."""
    picture = scene(3)
    starts = [min(pixels_per_frame * frame, 256 - WIDTH) for frame in range(40)]

    assert [] == find_cuts(np.stack([picture[:HEIGHT, s : s + WIDTH] for s in starts]))


def test_a_fast_head_is_no_cut() -> None:
    """A big bright block that jumps about changes much, but again and again."""
    rng = np.random.default_rng(0)
    frames = still(0, 40)
    for frame in frames:
        left = int(rng.integers(0, 30))
        frame[6:, left : left + 30] = 230

    assert [] == find_cuts(np.stack(frames))


def test_a_flash_is_no_cut() -> None:
    """A picture that comes back is the same shot."""
    frames = still(0, 40)
    frames[20] = np.full_like(frames[20], 255)

    assert [] == find_cuts(np.stack(frames))


def test_a_fade_is_no_cut() -> None:
    """A slow change to another picture has no frame at which it happens."""
    first, second = still(0, 1)[0].astype(float), still(1, 1)[0].astype(float)
    shares = np.linspace(0, 1, 30)

    frames = [((1 - share) * first + share * second).astype(np.uint8) for share in shares]

    assert [] == find_cuts(np.stack(frames))


@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_hardly_any_frames_have_no_cut(n_frames: int) -> None:
    """Empty and tiny captures are not an error here."""
    assert [] == find_cuts(np.zeros((n_frames, HEIGHT, WIDTH, 3), np.uint8))
