"""How alike two moments of speech sound: an additive kernel on windows of mel bands.

Ten seconds of speech hold few examples of any sound, and no two windows of half a second are
alike. So a window is compared lag by lag and the likenesses are added: a moment may resemble
one example in its onset and another in its end. Within a lag, the bands' levels and their
slopes in time are compared by squared exponential kernels (additive Gaussian processes:
Duvenaud et al., NeurIPS 2011).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

LAGS_S = (0.02, 0.06, 0.10, 0.14, 0.18)
"""Where a window is compared, in seconds after the frame: lips move before they are heard."""

_STEP_S = 0.02
_REACH = 2
"""Rows on either side of a lag that belong to it."""
_ROW_WEIGHTS = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1)) ** 2)
N_ROWS = round((LAGS_S[-1] - LAGS_S[0]) / _STEP_S) + 1 + 2 * _REACH
"""Rows of a window, 20 ms apart."""
_LEVEL_BLUR_S = 0.015
"""The mouth does not follow single glottal pulses."""
_SLOPE_BLUR_S = 0.01
_SLOPE_SPAN_S = 0.03
"""Slopes are differences over twice this."""
_LEVEL_SHARE, _SLOPE_SHARE = 0.7, 0.3
_LEVEL_SCALE, _SLOPE_SCALE = 0.6, 0.8
"""Root mean square difference over the bands at which likeness is exp(-1/2)."""
_LINEAR = 0.05
"""Weight of a linear kernel beside: far from all examples, louder still means wider."""


def sound_windows(rows: F32, rows_per_second: int, times_s: Floats) -> F32:
    """Levels and slopes of the bands around each time.

    Args:
        rows: Normalised mel bands, about -3 to 3. [rows, C]
        rows_per_second: Of ``rows``.
        times_s: Seconds on the sound's clock. [N]

    Returns:
        Levels, then slopes. [N, N_ROWS, 2 C]
    """
    span = max(1, round(_SLOPE_SPAN_S * rows_per_second))
    level = gaussian_filter1d(rows, _LEVEL_BLUR_S * rows_per_second, axis=0, mode="nearest")
    blurred = gaussian_filter1d(rows, _SLOPE_BLUR_S * rows_per_second, axis=0, mode="nearest")
    padded = np.pad(blurred, ((span, span), (0, 0)), mode="edge")
    both = np.concatenate([level, padded[2 * span :] - padded[: -2 * span]], axis=1)
    offsets = LAGS_S[0] + _STEP_S * (np.arange(N_ROWS) - _REACH)
    places = np.clip((times_s[:, None] + offsets) * rows_per_second, 0, len(rows) - 1)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[..., None].astype(np.float32)
    return np.asarray(both[below] * (1 - share) + both[above] * share, dtype=np.float32)


def likeness(a: F32, b: F32) -> Floats:
    """Kernel between windows. [M, N_ROWS, 2 C], [N, N_ROWS, 2 C] -> [M, N]"""
    n_bands = a.shape[2] // 2
    total = np.zeros((len(a), len(b)))
    for lag_s in LAGS_S:
        first = round((lag_s - LAGS_S[0]) / _STEP_S)
        rows = slice(first, first + 2 * _REACH + 1)
        for bands, share, scale in (
            (slice(0, n_bands), _LEVEL_SHARE, _LEVEL_SCALE),
            (slice(n_bands, None), _SLOPE_SHARE, _SLOPE_SCALE),
        ):
            alike = _alike(a[:, rows, bands], b[:, rows, bands], scale)
            total += share / len(LAGS_S) * alike
    return total


def _alike(a: F32, b: F32, scale: float) -> Floats:
    """One lag's kernel, of variance about one. [M, R, C], [N, R, C] -> [M, N]"""
    weights = np.sqrt(_ROW_WEIGHTS / _ROW_WEIGHTS.sum() / a.shape[2])[:, None]
    left = (a * weights).reshape(len(a), -1).astype(np.float64)
    right = (b * weights).reshape(len(b), -1).astype(np.float64)
    linear = left @ right.T
    norms = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    distances = np.maximum(norms - 2 * linear, 0.0)
    return np.asarray(np.exp(-0.5 * distances / scale**2) + _LINEAR * linear)
