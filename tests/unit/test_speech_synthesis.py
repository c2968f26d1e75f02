"""The demo's voice."""

import numpy as np

from services.embedded.puppet.babble import Spoken
from services.embedded.puppet.speech_synthesis import SAMPLE_RATE, synthesise


def _spectrum_centre(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE)
    return float((power * frequencies).sum() / power.sum())


def test_speech_has_the_length_of_its_script_and_does_not_clip() -> None:
    """One second of script is one second of sound, below full scale."""
    samples = synthesise((Spoken("a", 0.0, 0.6, 1.0), Spoken("", 0.6, 0.4, 1.0)), seed=0)

    assert SAMPLE_RATE == samples.size
    assert 0.2 < np.abs(samples).max() < 1.0


def test_pauses_are_silent() -> None:
    """Sound stops with the voice."""
    samples = synthesise((Spoken("a", 0.0, 0.5, 1.0), Spoken("", 0.5, 0.5, 1.0)), seed=0)

    loud, quiet = samples[1600:7200], samples[-4800:]
    assert quiet.std() < 0.02 * loud.std()


def test_sounds_differ_where_the_ear_hears_it() -> None:
    """Hiss lies above vowels, and a spread vowel above a rounded one."""
    centres = {
        name: _spectrum_centre(synthesise((Spoken(name, 0.0, 0.4, 1.0),), seed=0))
        for name in ("u", "a", "i", "s")
    }

    assert centres["u"] < centres["a"] < centres["s"]
    assert centres["u"] < centres["i"] < centres["s"]
