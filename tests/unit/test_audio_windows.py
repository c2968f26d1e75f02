"""What is heard around each frame."""

import numpy as np
import pytest

from shared.audio_encoders import mel
from shared.audio_windows import audio_windows
from shared.errors import InvalidInput

FPS = 25


def make_sound(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Noise that grows louder."""
    noise = np.random.default_rng(2).standard_normal(round(seconds * mel.SAMPLE_RATE))
    return np.asarray(noise * np.linspace(0.01, 0.3, len(noise)), np.float32)


def test_a_window_is_centred_on_the_middle_of_its_frame() -> None:
    """Frame 20 stands at 0.82 s, row 82 of a hundred a second."""
    sound = make_sound(2.0)

    windows = audio_windows("mel", sound, n_rows=8, fps=FPS, n_frames=50)

    assert (50, 8, mel.N_CHANNELS) == windows.shape
    np.testing.assert_array_equal(mel.encode(sound)[78:86], windows[20])


def test_windows_do_not_shrink_with_the_frame_rate() -> None:
    """At twice the frame rate every other window is of nearly the same sound."""
    sound = make_sound(2.0)

    slow = audio_windows("mel", sound, n_rows=8, fps=25, n_frames=50)
    fast = audio_windows("mel", sound, n_rows=8, fps=50, n_frames=100)

    np.testing.assert_array_equal(slow[20][:-1], fast[40][1:])


def test_past_the_ends_the_last_row_is_repeated() -> None:
    """The first window begins before the sound, and the last ends after it."""
    sound = make_sound(1.0)

    windows = audio_windows("mel", sound, n_rows=16, fps=FPS, n_frames=25)

    rows = mel.encode(sound)
    np.testing.assert_array_equal(rows[0], windows[0][0])
    np.testing.assert_array_equal(rows[-1], windows[-1][-1])


def test_an_unknown_encoder_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(InvalidInput, match="mel") as refused:
        audio_windows("telepathy", make_sound(1.0), n_rows=8, fps=FPS, n_frames=5)

    assert "unknown_plugin" == refused.value.code
