"""The matte: coarse masks sharpened by the background, and kept whole by a prior."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.preprocess.matte_prior import learn_prior, with_prior
from services.preprocess.matting import Background, refine_matte, segmenter
from shared import landmarks as lm

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

SIZE = 128


def disc(radius: float, column: float = 64.0) -> NDArray[np.bool_]:
    """A disc in the middle. [SIZE, SIZE]"""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    return np.asarray((rows - 64) ** 2 + (columns - column) ** 2 < radius**2)


def make_frame(person: NDArray[np.bool_]) -> U8:
    """A dark person before a bright wall, with noise."""
    rng = np.random.default_rng(0)
    frame = np.where(person[..., None], 60.0, 180.0) + rng.standard_normal((SIZE, SIZE, 3))
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def wall() -> Background:
    """The wall, known everywhere."""
    colour = np.full((SIZE, SIZE, 3), 180, np.uint8)
    return Background(colour, np.ones((SIZE, SIZE), dtype=np.bool_), 1.0)


def make_landmarks(column: float = 64.0) -> F32:
    """A face whose landmarks move with ``column``. [478, 3]"""
    rng = np.random.default_rng(1)
    face = rng.uniform(-20, 20, (lm.N_LANDMARKS, 3)).astype(np.float32)
    face[lm.NOSE_ROOT, :2] = (0, -5)
    face[lm.CHIN, :2] = (0, 25)
    face[lm.FOREHEAD_TOP, :2] = (0, -25)
    return face + np.array([column, 64, 0], np.float32)


def test_background_sharpens_the_edge() -> None:
    """A mask three pixels too large or too small is drawn towards the true edge."""
    truth = disc(40)
    frame = make_frame(truth)

    for radius in (37, 43):
        coarse = np.where(disc(radius), 0.95, 0.05).astype(np.float32)
        matte = refine_matte(frame, coarse, wall()) > 127
        assert (matte ^ truth).sum() < 0.6 * (disc(radius) ^ truth).sum()


def test_mask_far_from_its_edge_is_kept() -> None:
    """Clothes in the wall's colour stay with the person, moving things far off do not join."""
    frame = make_frame(disc(40))
    frame[60:68, 60:68] = 180
    frame[4:10, 4:10] = 20

    matte = refine_matte(frame, disc(40).astype(np.float32), wall())

    assert (matte[60:68, 60:68] > 200).all()
    assert (matte[4:10, 4:10] < 30).all()


def test_without_a_background_the_mask_is_only_smoothed() -> None:
    """A moving scene leaves the network's mask in place."""
    truth = disc(40)

    matte = refine_matte(make_frame(truth), truth.astype(np.float32), None) > 127

    assert (matte ^ truth).sum() < 60


def test_prior_moves_with_the_head() -> None:
    """What most frames show of a moving head is at least undecided where one loses it."""
    columns = [50.0, 58.0, 64.0, 70.0, 78.0]
    masks = [disc(30, column).astype(np.float32) for column in columns]
    landmarks = np.stack([make_landmarks(column) for column in columns])
    prior = learn_prior(masks, landmarks)
    broken = masks[0].copy()
    broken[40:64, 60:80] = 0.0

    mended = with_prior(broken, landmarks[0], prior)

    lost = (masks[0] > 0.5) & (broken < 0.5)
    lost[60:] = False  # Below the chin the shoulders' average counts.
    assert (mended[lost] > 0.45).mean() > 0.9
    assert (mended[~disc(34, 50)][:200] < 0.05).all()


def test_prior_never_lowers_a_mask() -> None:
    """Evidence for the person stays."""
    mask = disc(30).astype(np.float32)
    prior = learn_prior([np.zeros_like(mask)] * 3, np.stack([make_landmarks()] * 3))

    assert mask == pytest.approx(with_prior(mask, make_landmarks(), prior))


def test_segmenter_is_quiet_and_deterministic(capfd: pytest.CaptureFixture[str]) -> None:
    """The network writes nothing and gives equal masks for equal frames."""
    frame = make_frame(disc(40))

    with segmenter() as segment:
        first, second = segment(frame), segment(frame)
    with segmenter() as segment:
        third = segment(frame)

    assert (SIZE, SIZE) == first.shape
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)
    assert "" == capfd.readouterr().err
