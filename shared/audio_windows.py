"""Windows of audio features: what is heard around each frame."""

import numpy as np
from numpy.typing import NDArray

from shared.audio_encoder import AudioEncoder
from shared.plugins import load_plugin

F32 = NDArray[np.float32]


def audio_windows(encoder: str, audio: F32, *, n_rows: int, fps: int, n_frames: int) -> F32:
    """The encoder's rows around the middle of each frame; past the ends the last row is repeated.

    A window is a stretch of time: its length does not depend on the frame rate.

    Args:
        encoder: Registry name of the audio encoder.
        audio: Mono, on the frames' clock. [samples]
        n_rows: Rows W of a window.
        fps: Frames per second.
        n_frames: Number of frames T.

    Returns:
        [T, W, C]
    """
    module: AudioEncoder = load_plugin("shared.audio_encoders", encoder)
    rows = module.encode(audio)
    middles = (np.arange(n_frames) + 0.5) / fps * module.ROWS_PER_SECOND
    first = np.round(middles - n_rows / 2).astype(np.int64)
    places = np.clip(first[:, None] + np.arange(n_rows), 0, len(rows) - 1)
    return np.asarray(rows[places], np.float32)
