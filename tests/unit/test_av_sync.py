"""The offset between sound and lips: found to a fraction of a frame, and not found in noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.media.audio import SAMPLE_RATE
from shared.media.av_sync import NATURAL_LEAD_MS, estimate_offset
from tests.spoken_dataset import make_opening, make_speech

F32 = NDArray[np.float32]

N_FRAMES = 300


def late(audio: F32, milliseconds: float) -> F32:
    """The sound moved back in time, same length."""
    return np.roll(audio, round(milliseconds * SAMPLE_RATE / 1000))


@pytest.mark.parametrize("offset_ms", [-180.0, 0.0, 70.0, 230.0])
def test_known_offset_is_found(offset_ms: float) -> None:
    """Speech moved against the lips that made it is found within half a frame."""
    opening = make_opening(N_FRAMES)
    audio = late(make_speech(opening), offset_ms + NATURAL_LEAD_MS)

    found = estimate_offset(audio, opening)

    assert found.is_reliable
    assert offset_ms == pytest.approx(found.offset_ms, abs=20)


def test_unrelated_sound_is_not_trusted() -> None:
    """Lips and the speech of another take give low confidence."""
    audio = make_speech(make_opening(N_FRAMES, seed=7))

    assert not estimate_offset(audio, make_opening(N_FRAMES, seed=3)).is_reliable


@pytest.mark.parametrize("n_frames", [0, 20])
def test_too_little_says_nothing(n_frames: int) -> None:
    """Less than two seconds give no offset and no confidence."""
    opening = make_opening(N_FRAMES)[:n_frames]

    found = estimate_offset(np.zeros(n_frames * 640, np.float32), opening)

    assert (0.0, 0.0) == (found.offset_ms, found.confidence)


def test_silence_says_nothing() -> None:
    """Digital silence gives no confidence."""
    audio = np.zeros(N_FRAMES * 640, np.float32)

    assert 0.0 == estimate_offset(audio, make_opening(N_FRAMES)).confidence


def test_still_mouth_says_nothing() -> None:
    """A mouth that does not move gives no confidence."""
    audio = make_speech(make_opening(N_FRAMES))

    assert 0.0 == estimate_offset(audio, np.full(N_FRAMES, 0.1, np.float32)).confidence
