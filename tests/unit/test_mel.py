"""Mel bands: where a tone falls, and what normalising takes away."""

import numpy as np
import pytest

from shared.audio_encoders import mel

TIMES = np.arange(mel.SAMPLE_RATE) / mel.SAMPLE_RATE


def make_words(seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Noise that swells and fades like syllables, two seconds."""
    rng = np.random.default_rng(seed)
    envelope = np.abs(np.sin(np.arange(2 * mel.SAMPLE_RATE) / 2500)) ** 2
    return np.asarray(0.1 * envelope * rng.standard_normal(envelope.size), np.float32)


@pytest.mark.parametrize("hz", [200.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    """The strongest band's edges enclose the tone."""
    bands, _ = mel.log_mel(np.sin(2 * np.pi * hz * TIMES).astype(np.float32))

    edges = 700 * (10 ** (np.linspace(77.75, 2816.5, 42) / 2595) - 1)
    strongest = int(bands[50].argmax())
    assert edges[strongest] <= hz <= edges[strongest + 2]


def test_row_is_centred_on_its_time() -> None:
    """A click at 0.5 s is loudest in row 50."""
    click = np.zeros(mel.SAMPLE_RATE, np.float32)
    click[mel.SAMPLE_RATE // 2] = 1.0

    _, energy = mel.log_mel(click)

    assert 50 == np.flatnonzero(energy > energy.max() - 0.1).mean().round()


@pytest.mark.parametrize("gain", [0.03, 0.3, 3.0])
def test_level_is_taken_away(gain: float) -> None:
    """Louder or softer, the description is the same."""
    words = make_words()

    assert np.allclose(mel.encode(words), mel.encode(words * np.float32(gain)), atol=0.02)


def test_pauses_do_not_shift_speech() -> None:
    """The same words with two seconds of silence after them are described alike."""
    words = make_words()
    alone = mel.encode(words)

    with_pause = mel.encode(np.concatenate([words, np.zeros_like(words)]))

    assert np.abs(alone - with_pause[: len(alone)]).mean() < 0.25


@pytest.mark.parametrize("n_samples", [1, 100, 400, 16_001])
def test_any_length_gives_rows(n_samples: int) -> None:
    """One row per hop, at least one, all finite; digital silence too."""
    rows = mel.encode(np.zeros(n_samples, np.float32))

    assert (max(1, -(-n_samples // 160)), mel.N_CHANNELS) == rows.shape
    assert np.isfinite(rows).all()


def test_long_sound_is_described_in_blocks_without_seams() -> None:
    """Rows around a block's edge equal those of a cut-out."""
    sound = np.random.default_rng(1).standard_normal(90 * mel.SAMPLE_RATE).astype(np.float32)
    whole, _ = mel.log_mel(sound)

    part, _ = mel.log_mel(sound[8000 * 160 : 8400 * 160])

    assert np.allclose(whole[8100:8300], part[100:300])
