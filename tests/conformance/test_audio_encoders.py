"""What every audio encoder must do, whatever it is."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin, plugin_names

KIND = "shared.audio_encoders"


@pytest.fixture(params=plugin_names(KIND))
def encoder(request: pytest.FixtureRequest) -> AudioEncoder:
    """Each audio encoder there is."""
    return cast(AudioEncoder, load_plugin(KIND, str(request.param)))


def make_words(sample_rate: int) -> NDArray[np.float32]:
    """Noise that swells and fades like syllables, two seconds."""
    rng = np.random.default_rng(0)
    envelope = np.abs(np.sin(np.arange(2 * sample_rate) / 2500)) ** 2
    return np.asarray(0.1 * envelope * rng.standard_normal(envelope.size), np.float32)


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_level_is_taken_away(encoder: AudioEncoder, gain: float) -> None:
    """Louder or softer, the description is the same."""
    words = make_words(encoder.SAMPLE_RATE)

    plain, scaled = encoder.encode(words), encoder.encode(words * np.float32(gain))

    assert np.abs(plain - scaled).mean() < 0.02


def test_pauses_do_not_shift_speech(encoder: AudioEncoder) -> None:
    """The same words with two seconds of silence after them are described alike."""
    words = make_words(encoder.SAMPLE_RATE)
    alone = encoder.encode(words)

    with_pause = encoder.encode(np.concatenate([words, np.zeros_like(words)]))

    assert np.abs(alone - with_pause[: len(alone)]).mean() < 0.25


@pytest.mark.parametrize("n_samples", [1, 100, 16_001])
def test_any_length_gives_finite_rows(encoder: AudioEncoder, n_samples: int) -> None:
    """At its own rate, at least one, digital silence too."""
    rows = encoder.encode(np.zeros(n_samples, np.float32))

    seconds = n_samples / encoder.SAMPLE_RATE
    assert encoder.N_CHANNELS == rows.shape[1]
    assert max(1, np.ceil(seconds * encoder.ROWS_PER_SECOND)) == len(rows)
    assert np.isfinite(rows).all()
    assert np.float32 == rows.dtype
