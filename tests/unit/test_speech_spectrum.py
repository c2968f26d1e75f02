"""Spectra of speech: where tones and resonances fall, whatever the length."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from shared.speech_spectrum import (
    N_MEL,
    N_RESONANCE,
    N_SECTIONS,
    SAMPLE_RATE,
    _linear_prediction,
    is_speech,
    log_mel,
    normalised,
    vocal_tract,
)

F32 = NDArray[np.float32]
TIMES = np.arange(SAMPLE_RATE) / SAMPLE_RATE


def make_vowel(resonance_hz: float, pitch_hz: float) -> F32:
    """A pulse train through one resonance of 80 Hz width, one second."""
    pulses = np.diff(np.floor(TIMES * pitch_hz), prepend=0.0)
    radius = np.exp(-np.pi * 80 / SAMPLE_RATE)
    turn = 2 * np.pi * resonance_hz / SAMPLE_RATE
    vowel = lfilter([1.0], [1.0, -2 * radius * np.cos(turn), radius**2], pulses)
    return np.asarray(0.1 * vowel / np.abs(vowel).max(), np.float32)


@pytest.mark.parametrize("hz", [200.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    """The strongest band's edges enclose the tone."""
    bands, _ = log_mel(np.sin(2 * np.pi * hz * TIMES).astype(np.float32))

    edges = 700 * (10 ** (np.linspace(77.75, 2816.5, N_MEL + 2) / 2595) - 1)
    strongest = int(bands[50].argmax())
    assert edges[strongest] <= hz <= edges[strongest + 2]


def test_row_is_centred_on_its_time() -> None:
    """A click at 0.5 s is loudest in row 50."""
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[SAMPLE_RATE // 2] = 1.0

    _, energy = log_mel(click)

    assert 50 == np.flatnonzero(energy > energy.max() - 0.1).mean().round()


@pytest.mark.parametrize("resonance_hz", [400.0, 800.0, 1600.0])
@pytest.mark.parametrize("pitch_hz", [90.0, 180.0])
def test_envelope_peaks_at_the_resonance_whatever_the_pitch(
    resonance_hz: float, pitch_hz: float
) -> None:
    """Within one and a half steps of the envelope's 126 Hz."""
    envelope = vocal_tract(make_vowel(resonance_hz, pitch_hz))[0][20:80].mean(axis=0)

    peak_hz = np.linspace(150, 3800, N_RESONANCE)[envelope.argmax()]
    assert resonance_hz == pytest.approx(peak_hz, abs=190)


def test_reflections_are_those_of_the_filter_that_was_heard() -> None:
    """The autocorrelation of a filter of two sections gives its coefficients and reflections."""
    first, second = -0.6, 0.4
    predictor = [first - second * first, second]
    correlation = [1.0, predictor[0] / (1 - second)]
    correlation += [predictor[0] * correlation[1] + second]
    correlation += [predictor[0] * correlation[2] + second * correlation[1]]

    found, reflections = _linear_prediction(np.array([correlation]))

    assert np.allclose([*predictor, 0.0], found)
    assert np.allclose([first, second, 0.0], reflections)


def test_envelope_does_not_know_the_level() -> None:
    """Half as loud gives the same rows."""
    vowel = make_vowel(600.0, 120.0)

    for loud, soft in zip(vocal_tract(vowel), vocal_tract(0.5 * vowel), strict=True):
        assert np.allclose(loud[10:90], soft[10:90], atol=0.05)


@pytest.mark.parametrize("n_samples", [1, 100, 400, 16_001])
def test_any_length_gives_finite_rows(n_samples: int) -> None:
    """One row per 160 samples, at least one; digital silence too."""
    silence = np.zeros(n_samples, np.float32)
    n_rows = max(1, -(-n_samples // 160))

    bands, _ = log_mel(silence)
    envelope, ratios = vocal_tract(silence)

    assert ((n_rows, N_MEL), (n_rows, N_RESONANCE)) == (bands.shape, envelope.shape)
    assert (n_rows, N_SECTIONS) == ratios.shape
    assert all(np.isfinite(rows).all() for rows in (bands, envelope, ratios))


def test_long_sound_is_described_in_blocks_without_seams() -> None:
    """Rows around a block's edge equal those of a cut-out."""
    sound = np.random.default_rng(1).standard_normal(90 * SAMPLE_RATE).astype(np.float32)
    cut = sound[8000 * 160 : 8400 * 160]

    assert np.allclose(log_mel(sound)[0][8100:8300], log_mel(cut)[0][100:300])
    for whole, part in zip(vocal_tract(sound), vocal_tract(cut), strict=True):
        assert np.allclose(whole[8100:8300], part[100:300], atol=0.02)


def test_normalising_looks_at_speech_alone() -> None:
    """Speech has mean zero and deviation one though half the rows are quiet."""
    rng = np.random.default_rng(0)
    energy = np.repeat([0.0, -20.0], 500)
    channels = rng.standard_normal((1000, 3)) * [1, 2, 3] + energy[:, None]

    scaled = normalised(channels, is_speech(energy))

    assert np.allclose(0, scaled[:500].mean(axis=0), atol=0.05)
    assert np.allclose(1, scaled[:500].std(axis=0), atol=0.05)
