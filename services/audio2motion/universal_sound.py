"""Speech as any audio encoder hears it, on one clock: levels, slopes and bends around a moment."""

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin

F32 = NDArray[np.float32]
Floats = NDArray[np.float64]

ROWS_PER_SECOND = 100
LAGS_S = (-0.025, 0.015, 0.055, 0.095, 0.135, 0.175, 0.215)
"""Where a moment's sound is looked at, in seconds after it: lips move before they are heard."""
LOOK_AHEAD_S = 0.38
"""Sound after a moment that has any part in it, beside what an encoder itself looks ahead."""

_REACH = 2
_STEP_ROWS = 2
_ROW_WEIGHTS = np.exp(-0.5 * np.arange(-_REACH, _REACH + 1, dtype=np.float64) ** 2)
_LEVEL_BLUR_ROWS, _SLOPE_BLUR_ROWS = 1.5, 1.8
_SLOPE_SPAN_ROWS, _BEND_SPAN_ROWS = 3, 4
"""The mouth follows no single glottal pulse; slopes and bends are differences over these spans."""
_BEND_DEVIATION = 0.8


class Hearing(NamedTuple):
    """How the rows of the encoders are brought to mean zero and deviation one."""

    encoders: tuple[str, ...]
    mean: F32  # [C]
    deviation: F32  # [C]


def encoder_rows(encoders: tuple[str, ...], audio: F32) -> F32:
    """Rows of all encoders side by side, a hundred a second. [samples] -> [rows, C]

    Raises:
        InvalidInput: ``unknown_plugin``; MissingModel when an encoder's weights are not there.
    """
    columns = []
    n_rows = max(1, round(len(audio) / 16_000 * ROWS_PER_SECOND))
    times = np.arange(n_rows) / ROWS_PER_SECOND
    for name in encoders:
        encoder = cast(AudioEncoder, load_plugin("shared.audio_encoders", name))
        rows = encoder.encode(audio)
        places = np.clip(times * encoder.ROWS_PER_SECOND, 0, len(rows) - 1)
        columns.append(_between(rows, places))
    return np.concatenate(columns, axis=1)


def learn_hearing(encoders: tuple[str, ...], recordings: list[F32]) -> Hearing:
    """What the encoders say on average of these recordings' rows. [rows, C] each"""
    rows = np.concatenate(recordings)
    return Hearing(encoders, rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-4))


def sound_views(hearing: Hearing, rows: F32, times_s: Floats) -> F32:
    """Levels, slopes and bends at every lag of every time.

    Args:
        hearing: What is normal.
        rows: Of ``encoder_rows``. [rows, C]
        times_s: Seconds. [T]

    Returns:
        Each view of a lag is a short weighted run of rows, of length 1 on average.
        [T, L, 3 views, 5 rows * C]
    """
    normal = (rows - hearing.mean) / hearing.deviation
    levels = gaussian_filter1d(normal, _LEVEL_BLUR_ROWS, axis=0, mode="nearest")
    calm = gaussian_filter1d(normal, _SLOPE_BLUR_ROWS, axis=0, mode="nearest")
    before, after = _shifted(calm, _SLOPE_SPAN_ROWS)
    slopes = after - before
    before, after = _shifted(calm, _BEND_SPAN_ROWS)
    bends = (before - 2 * calm + after) / _BEND_DEVIATION
    views = np.stack([levels, slopes, bends], axis=1)  # [rows, 3, C]
    offsets = np.array(LAGS_S)[:, None] * ROWS_PER_SECOND
    offsets = offsets + _STEP_ROWS * np.arange(-_REACH, _REACH + 1)  # [L, 5]
    places = times_s[:, None, None] * ROWS_PER_SECOND + offsets
    places = np.clip(places, 0, len(rows) - 1).reshape(-1)
    windows = _between(views.reshape(len(rows), -1), places)
    shape = (len(times_s), len(LAGS_S), 2 * _REACH + 1, 3, rows.shape[1])
    weights = np.sqrt(_ROW_WEIGHTS / _ROW_WEIGHTS.sum() / rows.shape[1])[:, None, None]
    weighted = windows.reshape(shape) * weights
    return weighted.swapaxes(2, 3).reshape(*shape[:2], 3, -1).astype(np.float32)


def _between(rows: F32, places: Floats) -> F32:
    """Rows at fractional places. [R, C], [N] -> [N, C]"""
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(rows) - 1)
    share = (places - below)[:, None].astype(np.float32)
    return np.asarray(rows[below] * (1 - share) + rows[above] * share, np.float32)


def _shifted(rows: F32, span: int) -> tuple[F32, F32]:
    """Rows ``span`` before and ``span`` after; ends repeat."""
    padded = np.pad(rows, ((span, span), (0, 0)), mode="edge")
    return padded[: -2 * span], padded[2 * span :]
