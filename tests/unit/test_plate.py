"""The background plate: at the noise level where seen, smooth where not, without the person."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.plate import build_plate, clearance, fill_unknown

U8 = NDArray[np.uint8]

SIZE = 96
NOISE = 2.0


def scene() -> NDArray[np.float64]:
    """A background with an edge. [SIZE, SIZE, 3]"""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    picture = np.stack([100 + rows, 80 + columns, np.full_like(rows, 60)], axis=-1).astype(float)
    picture[:, 70:] += 40
    return picture


def make_frames(n_frames: int, sway: float) -> tuple[list[U8], list[U8]]:
    """A red disc that sways before the scene; frames and its mattes."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    frames, mattes = [], []
    for frame in range(n_frames):
        centre = 40 + sway * np.sin(frame / 3)
        is_person = (rows - 50) ** 2 + (columns - centre) ** 2 < 18**2
        picture = scene() + NOISE * rng.standard_normal((SIZE, SIZE, 3))
        picture[is_person] = (220, 20, 20)
        frames.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        mattes.append(np.where(is_person, 255, 0).astype(np.uint8))
    return frames, mattes


def test_seen_background_is_at_the_noise_level() -> None:
    """The mean of many frames is nearer to the scene than one frame's noise."""
    frames, mattes = make_frames(40, sway=12)

    plate = build_plate(frames, [clearance(matte) for matte in mattes])

    error = (plate.colour - scene())[plate.is_seen]
    assert np.abs(error).mean() < 0.5 * NOISE
    assert plate.noise == pytest.approx(NOISE, rel=0.3)
    assert plate.agreement > 0.95


def test_what_swaying_uncovers_is_seen() -> None:
    """More is seen behind a swaying person than behind a still one; the middle never."""
    moving, moving_mattes = make_frames(40, sway=12)
    still, still_mattes = make_frames(40, sway=0)

    seen = build_plate(moving, [clearance(m) for m in moving_mattes]).is_seen
    less = build_plate(still, [clearance(m) for m in still_mattes]).is_seen

    assert seen.sum() > less.sum() + 200
    assert not seen[50, 40]


def test_the_person_leaves_no_trace() -> None:
    """No pixel of the plate, filled ones included, has the person's red."""
    frames, mattes = make_frames(40, sway=12)

    plate = build_plate(frames, [clearance(matte) for matte in mattes])

    assert (plate.colour[..., 1] > 60).all()


def test_a_passer_by_is_outvoted() -> None:
    """What stands in the background for a few frames is not in the plate."""
    frames, mattes = make_frames(40, sway=12)
    for frame in frames[10:16]:
        frame[5:20, 5:20] = 255

    plate = build_plate(frames, [clearance(matte) for matte in mattes])

    assert np.abs(plate.colour[5:20, 5:20] - scene()[5:20, 5:20]).max() < 4 * NOISE


def test_a_moving_camera_shows_in_the_agreement() -> None:
    """Frames that do not agree with one background are told by the share that does."""
    frames, mattes = make_frames(40, sway=0)
    rolled = [np.roll(frame, 5 * index, axis=1) for index, frame in enumerate(frames)]
    clear = [clearance(np.roll(m, 5 * index, axis=1)) for index, m in enumerate(mattes)]

    assert build_plate(rolled, clear).agreement < 0.8


def test_nothing_seen_is_grey() -> None:
    """A person who fills every frame leaves a plain plate and no error."""
    frames, mattes = make_frames(5, sway=0)

    plate = build_plate(frames, [clearance(np.full_like(matte, 255)) for matte in mattes])

    assert not plate.is_seen.any()
    assert 127 == plate.colour.min() == plate.colour.max()


def test_filling_keeps_what_is_known_and_is_smooth() -> None:
    """A hole in a ramp is filled within the range of its surroundings."""
    ramp = np.repeat(np.linspace(0, 200, 64, dtype=np.float32)[None, :, None], 48, axis=0)
    picture = np.repeat(ramp, 3, axis=2)
    is_known = np.ones((48, 64), dtype=np.bool_)
    is_known[10:38, 20:44] = False

    filled = fill_unknown(np.where(is_known[..., None], picture, 0).astype(np.float32), is_known)

    assert np.array_equal(picture[is_known], filled[is_known])
    hole = filled[10:38, 20:44]
    assert hole.min() >= picture[0, 19, 0] - 1.0
    assert hole.max() <= picture[0, 44, 0] + 1.0


def test_clearance_grows_with_distance() -> None:
    """0 on the person, 3 far away."""
    matte = np.zeros((200, 200), np.uint8)
    matte[90:110, 90:110] = 255

    level = clearance(matte)

    assert 0 == level[100, 100]
    assert 3 == level[10, 10]
    assert level[100, 112] < 3
