"""Windows of audio features: what is heard around each frame."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin

F32 = NDArray[np.float32]

WINDOW_ROWS_PER_SECOND = 100
"""Of windows, whatever the encoder's own rate; its rows are interpolated in between."""


def audio_windows(encoder: str, audio: F32, *, n_rows: int, fps: int, n_frames: int) -> F32:
    """What the encoder hears around each frame's middle; past the ends the last row is repeated.

    A window is a stretch of time: its length does not depend on the frame rate.

    Args:
        encoder: Registry name of the audio encoder.
        audio: Mono, on the frames' clock. [samples]
        n_rows: Rows W of a window, at 100 a second.
        fps: Frames per second.
        n_frames: Number of frames T.

    Returns:
        [T, W, C]
    """
    module: AudioEncoder = load_plugin("shared.audio_encoders", encoder)
    rows = module.encode(audio)
    middles = (np.arange(n_frames) + 0.5) / fps * WINDOW_ROWS_PER_SECOND
    first = np.round(middles - n_rows / 2).astype(np.int64)
    steps = first[:, None] + np.arange(n_rows)
    return rows_at(rows, steps * (module.ROWS_PER_SECOND / WINDOW_ROWS_PER_SECOND))


def rows_at(rows: F32, places: NDArray[np.floating[Any]]) -> F32:
    """Rows at places between them, by linear interpolation; the ends repeat.

    Args:
        rows: [R, C]
        places: Row numbers with fractions. [...]

    Returns:
        [..., C]
    """
    kept = np.clip(places, 0, len(rows) - 1)
    below = np.floor(kept).astype(np.int64)
    share = (kept - below)[..., None].astype(np.float32)
    if not share.any():
        return np.asarray(rows[below], np.float32)
    above = np.minimum(below + 1, len(rows) - 1)
    return np.asarray(rows[below] * (1 - share) + rows[above] * share, np.float32)
