"""What a moment of speech is to any motion model."""

import numpy as np
import pytest

from services.audio2motion.universal_sound import (
    LAGS_S,
    LOOK_AHEAD_S,
    ROWS_PER_SECOND,
    Hearing,
    encoder_rows,
    learn_hearing,
    sound_views,
)
from shared.errors import InvalidInput
from tests.spoken_dataset import make_opening, make_speech


def test_encoders_stand_side_by_side_on_one_clock() -> None:
    """A hundred rows a second, mel's 40 channels and the vocal tract's 40."""
    audio = make_speech(make_opening(50))

    assert (200, 80) == encoder_rows(("mel", "vocal_tract"), audio).shape


def test_an_unknown_encoder_is_refused() -> None:
    """Naming those there are."""
    with pytest.raises(InvalidInput, match="mel"):
        encoder_rows(("telepathy",), np.zeros(1600, np.float32))


def test_hearing_brings_channels_to_one_scale() -> None:
    """Mean zero, deviation one over the recordings."""
    rows = np.random.default_rng(0).normal(5, 3, (500, 4)).astype(np.float32)

    hearing = learn_hearing(("mel",), [rows[:200], rows[200:]])

    normal = (rows - hearing.mean) / hearing.deviation
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(normal.std(axis=0), 1, atol=1e-4)


def test_a_lag_sees_the_sound_that_much_later() -> None:
    """A lone loud row is strongest at the lag that points to it."""
    rows = np.zeros((300, 1), np.float32)
    rows[150] = 1.0
    hearing = Hearing(("mel",), np.zeros(1, np.float32), np.ones(1, np.float32))
    lag = 4

    views = sound_views(hearing, rows, np.array([150 / ROWS_PER_SECOND - LAGS_S[lag]]))

    levels = views[0, :, 0].max(axis=1)
    assert lag == int(levels.argmax())


def test_nothing_beyond_the_look_ahead_counts() -> None:
    """So that a stream may be cut there."""
    rows = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
    later = rows.copy()
    later[100 + round(LOOK_AHEAD_S * ROWS_PER_SECOND) + 1 :] = 9.0
    hearing = learn_hearing(("mel",), [rows])
    times = np.array([1.0])

    seen, changed = (sound_views(hearing, each, times) for each in (rows, later))

    np.testing.assert_array_equal(seen, changed)
