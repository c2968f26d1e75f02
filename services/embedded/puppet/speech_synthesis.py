"""Source and filter: a voice from a script of phonemes.

Glottal pulses and noise pass through resonators whose formants glide from sound to sound, after
Klatt, "Software for a cascade/parallel formant synthesizer" (1980), simplified: three moving
formants and two fixed ones in cascade, hiss and bursts added behind.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from services.embedded.puppet.babble import Spoken
from services.embedded.puppet.phonemes import PHONEMES, Manner

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SAMPLE_RATE = 16_000
_CONTROL_RATE = 200
_BLOCK = SAMPLE_RATE // _CONTROL_RATE
_BANDWIDTHS = (80.0, 100.0, 140.0, 250.0, 350.0)  # Hz
_FIXED_FORMANTS = (3900.0, 5100.0)  # Hz

_VOICING: dict[Manner, float] = {
    "vowel": 1.0,
    "voiced": 0.7,
    "nasal": 0.45,
    "voiced_fricative": 0.35,
    "plosive": 0.0,
    "fricative": 0.0,
    "pause": 0.0,
}
_BURST = 0.16
_BURST_SAMPLES = 384  # 24 ms
_HISS: dict[Manner, float] = {"fricative": 0.09, "voiced_fricative": 0.04}


class _Controls(NamedTuple):
    """Tracks at the control rate."""

    formants: F64  # [K, 3] Hz
    voicing: F64  # [K] 0..1
    pitch: F64  # [K] Hz


def synthesise(script: tuple[Spoken, ...], seed: int) -> F32:
    """Speak a script. -> samples at SAMPLE_RATE, -1..1"""
    start = script[0].start
    seconds = script[-1].start + script[-1].seconds - start
    n_controls = round(seconds * _CONTROL_RATE)
    random = np.random.default_rng(seed)
    controls = _controls(script, start, n_controls)
    voice = _resonate(_pulses(controls, random), controls.formants)
    voice /= max(float(np.abs(voice).max()), 1e-9)
    sound = 0.6 * voice + _hiss(script, start, voice.size, random)
    room = 2e-4 * random.standard_normal(sound.size)
    return np.asarray(np.clip(0.8 * sound + room, -1, 1), dtype=np.float32)


def _controls(script: tuple[Spoken, ...], start: float, n: int) -> _Controls:
    formants = np.zeros((n, 3))
    voicing = np.zeros(n)
    stress = np.zeros(n)
    for spoken in script:
        part = slice(*(round((t - start) * _CONTROL_RATE) for t in _span(spoken)))
        phoneme = PHONEMES[spoken.name]
        formants[part] = phoneme.formants
        voicing[part] = _VOICING[phoneme.manner] * spoken.stress
        stress[part] = spoken.stress
    seconds = np.arange(n) / _CONTROL_RATE
    # Pitch falls through a phrase, rises with stress and wanders a little.
    is_pause = voicing == 0
    since = seconds - np.maximum.accumulate(np.where(is_pause, seconds, 0))
    pitch = 205 - 12 * np.minimum(since, 2) + 40 * (_glide(stress, 0.06) - 1)
    pitch += 4 * np.sin(2 * np.pi * 0.7 * seconds) + 1.5 * np.sin(2 * np.pi * 5.1 * seconds)
    return _Controls(_glide(formants, 0.018), _glide(voicing, 0.010), pitch)


def _span(spoken: Spoken) -> tuple[float, float]:
    return spoken.start, spoken.start + spoken.seconds


def _glide(track: F64, seconds: float) -> F64:
    """Smooth a control track."""
    return np.asarray(
        scipy.ndimage.gaussian_filter1d(track, seconds * _CONTROL_RATE, axis=0, mode="nearest")
    )


def _pulses(controls: _Controls, random: np.random.Generator) -> F64:
    """Rosenberg's glottal flow, differentiated, with some breath."""
    pitch = np.repeat(controls.pitch, _BLOCK)
    phase = np.cumsum(pitch / SAMPLE_RATE) % 1
    rise, fall = 0.4, 0.2
    flow = np.where(phase < rise, 0.5 * (1 - np.cos(np.pi * phase / rise)), 0.0)
    is_falling = (phase >= rise) & (phase < rise + fall)
    flow = np.where(is_falling, np.cos(np.pi / 2 * (phase - rise) / fall), flow)
    breath = 0.02 * random.standard_normal(phase.size) * (flow + 0.1)
    return (np.diff(flow, prepend=0.0) + breath) * np.repeat(controls.voicing, _BLOCK)


def _resonate(source: F64, formants: F64) -> F64:
    """Pass the source through the formants in cascade, block by block."""
    sound = source
    fixed = [np.full(len(formants), frequency) for frequency in _FIXED_FORMANTS]
    for track, bandwidth in zip([*formants.T, *fixed], _BANDWIDTHS, strict=True):
        sound = _resonator(sound, track, bandwidth)
    return sound


def _resonator(source: F64, frequencies: F64, bandwidth: float) -> F64:
    """One second-order resonance with unit gain at zero frequency."""
    out = np.empty_like(source)
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    second = -(radius**2)
    state = np.zeros(2)
    for block, frequency in enumerate(frequencies):
        first = 2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
        part = slice(block * _BLOCK, (block + 1) * _BLOCK)
        gain = 1 - first - second
        out[part], state = scipy.signal.lfilter(
            [gain], [1, -first, -second], source[part], zi=state
        )
    return out


def _hiss(
    script: tuple[Spoken, ...], start: float, n_samples: int, random: np.random.Generator
) -> F64:
    """Frication through the whole sound; plosives are silent and burst at their end."""
    sound = np.zeros(n_samples)
    for spoken in script:
        phoneme = PHONEMES[spoken.name]
        if phoneme.noise_band is None:
            continue
        first, last = (round((t - start) * SAMPLE_RATE) for t in _span(spoken))
        level = _HISS.get(phoneme.manner, _BURST)
        if phoneme.manner == "plosive":
            first, last = last - _BURST_SAMPLES // 2, last + _BURST_SAMPLES // 2
        last = min(last, n_samples)
        noise = random.standard_normal(last - first + 64)
        band = scipy.signal.butter(
            2, phoneme.noise_band, btype="bandpass", fs=SAMPLE_RATE, output="sos"
        )
        shaped = scipy.signal.sosfilt(band, noise)[64:]
        sound[first:last] += level * shaped * scipy.signal.windows.tukey(last - first, 0.3)
    return sound
