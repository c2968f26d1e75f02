"""Estimates the offset between sound and lips.

The height of the mouth's opening is regressed on the energies of eight frequency bands at each
lag, all without their slow drift; the lag that explains most is the offset. A mouth opens before it
sounds: well-synced speech peaks with the sound some 90 ms behind the lips (Schwartz and Savariaux
2014, doi:10.1371/journal.pcbi.1003743, find 30 ms of lead of the sound to 170 ms of lead of the
lips), which is taken off, so that 0 means in sync.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from shared.media.audio import SAMPLE_RATE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NATURAL_LEAD_MS = 90.0
MAX_OFFSET_MS = 500.0
MIN_CONFIDENCE = 0.4
_RATE = 100  # Hz, of the signals that are compared
_N_BANDS = 8
_BANDS_HZ = (120.0, 7000.0)
_RIDGE = 0.1
_SMOOTH_S = 0.03  # a syllable lasts 200 ms
_DRIFT_S = 0.3
_MIN_SECONDS = 2.0
_CHANCE_Z = 3.0  # standard deviations that the best of the lags reaches on sound shifted at random
_SURE_Z = 7.0
_NEGLIGIBLE = 1e-6


class AvOffset(NamedTuple):
    """Offset between sound and lips."""

    offset_ms: float
    """Positive when sound is late."""
    confidence: float
    """0 to 1; from how far the correlation's peak stands out of chance."""

    @property
    def is_reliable(self) -> bool:
        """Whether to act on it."""
        return self.confidence >= MIN_CONFIDENCE


class OffsetCurve(NamedTuple):
    """How much of the mouth's motion the sound explains at each shift of the sound."""

    offsets_ms: F64  # [K] positive when the sound is late
    explained: F64  # [K] share of the variance, 0 to 1
    by_chance: F64  # the same at shifts beyond, which no offset can have


def estimate_offset(audio: F32, opening: F32, fps: int = 25) -> AvOffset:
    """Find the lag of the sound behind the lips.

    Args:
        audio: 16 kHz mono; sample 0 is meant to sound with frame 0. [n]
        opening: Mouth opening per frame, any unit. [T]
        fps: Frames per second.

    Returns:
        The offset, with confidence 0 when there is too little of either, silence, or a mouth
        that does not move.
    """
    curve = offset_curve(audio, opening, fps)
    if curve is None:
        return AvOffset(0.0, 0.0)
    peak = int(curve.explained.argmax())
    chance = curve.by_chance
    if not 0 < peak < len(curve.explained) - 1 or chance.std() <= 0:
        return AvOffset(0.0, 0.0)
    z = float((curve.explained[peak] - chance.mean()) / chance.std())
    step_ms = 1000.0 / _RATE
    offset = curve.offsets_ms[peak] + step_ms * _parabola(curve.explained[peak - 1 : peak + 2])
    confidence = float(np.clip((z - _CHANCE_Z) / (_SURE_Z - _CHANCE_Z), 0.0, 1.0))
    return AvOffset(float(offset), confidence)


def offset_curve(audio: F32, opening: F32, fps: int = 25) -> OffsetCurve | None:
    """Explained variance at shifts of up to ``MAX_OFFSET_MS``; arguments as ``estimate_offset``.

    Returns:
        None when there is too little of either, silence, or a mouth that does not move.
    """
    n_steps = int(min(len(opening) / fps, audio.size / SAMPLE_RATE) * _RATE)
    if n_steps < _MIN_SECONDS * _RATE:
        return None
    times = (np.arange(n_steps) + 0.5) / _RATE
    lips = _standardise(np.interp(times, np.arange(len(opening)) / fps, opening)[:, None])
    sound = _standardise(_log_energies(audio)[:n_steps])
    if not (lips.any() and sound.any()):
        return None
    explained = _explained(lips[:, 0], sound)  # by circular lag
    reach = int(MAX_OFFSET_MS / 1000 * _RATE)
    natural = round(NATURAL_LEAD_MS / 1000 * _RATE)
    ordered = np.roll(explained, reach - natural)  # lag natural - reach first
    offsets_ms = 1000.0 / _RATE * np.arange(-reach, reach + 1)
    return OffsetCurve(offsets_ms, ordered[: 2 * reach + 1], ordered[2 * reach + 1 :])


def _log_energies(audio: F32) -> F64:
    """Log energy of each band per step. [n] -> [steps, bands]"""
    edges = np.geomspace(*_BANDS_HZ, _N_BANDS + 1)
    step = SAMPLE_RATE // _RATE
    n_steps = audio.size // step
    energies = np.empty((n_steps, _N_BANDS))
    for index in range(_N_BANDS):
        band = butter(3, edges[index : index + 2], "bandpass", fs=SAMPLE_RATE, output="sos")
        filtered = sosfiltfilt(band, audio.astype(np.float64))[: n_steps * step]
        energies[:, index] = (filtered**2).reshape(n_steps, step).mean(axis=1)
    floor = 1e-4 * energies.max(axis=0, initial=0.0) + 1e-12
    return np.asarray(np.log(energies + floor))


def _explained(lips: F64, sound: F64) -> F64:
    """Share of the lips' variance that the bands explain at each circular lag. [steps]"""
    n_steps, n_bands = sound.shape
    gram = sound.T @ sound / n_steps + _RIDGE * np.eye(n_bands)
    spectrum = np.conj(np.fft.rfft(lips))[:, None] * np.fft.rfft(sound, axis=0)
    correlation = np.fft.irfft(spectrum, n_steps, axis=0) / n_steps  # [steps, bands]
    weights = np.linalg.solve(gram, correlation.T)  # [bands, steps]
    return np.asarray((correlation.T * weights).sum(axis=0))


def _standardise(values: F64) -> F64:
    """Smooth, take the drift off, scale to unit variance; zeros where nothing changes. [n, k]"""
    smooth = gaussian_filter1d(values, _SMOOTH_S * _RATE, axis=0)
    centred = smooth - gaussian_filter1d(smooth, _DRIFT_S * _RATE, axis=0)
    deviation = centred.std(axis=0)
    is_moving = deviation > _NEGLIGIBLE
    return np.asarray(np.where(is_moving, centred / np.where(is_moving, deviation, 1.0), 0.0))


def _parabola(values: F64) -> float:
    """Where the parabola through three values around a peak has its top, -0.5 to 0.5."""
    before, peak, after = (float(value) for value in values)
    curvature = before - 2 * peak + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0
