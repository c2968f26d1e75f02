"""Reading sound: any stream, any rate, mono without clipping, on the video's clock."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, fit_length, read_audio, shift_audio, write_wav
from shared.media.container import MediaLimits
from shared.media.video import probe_video
from tests.media_files import numbered_frame, write_video

F32 = NDArray[np.float32]


def tone(seconds: float, hertz: float = 440.0, rate: int = SAMPLE_RATE) -> F32:
    """A sine at half of full scale."""
    return np.asarray(
        0.5 * np.sin(2 * np.pi * hertz * np.arange(seconds * rate) / rate), np.float32
    )


def write_pcm(path: Path, channels: F32, rate: int) -> None:
    """Write [n, channels] as 16-bit wav."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(channels * 32767).astype("<i2").tobytes())


def write_click_video(
    path: Path,
    click_s: float,
    video_start_s: float,
    audio_start_s: float,
    *,
    is_audio_first: bool = False,
) -> Path:
    """A video whose sound clicks once, ``click_s`` after the sound's own start."""
    audio = np.zeros(2 * SAMPLE_RATE, np.float32)
    audio[round(click_s * SAMPLE_RATE) :][:80] = 0.9
    times = [video_start_s + number / 25 for number in range(40)]
    frames = [numbered_frame(number) for number in range(40)]
    return write_video(path, frames, times, audio, audio_start_s, is_audio_first=is_audio_first)


def click_time(samples: F32) -> float:
    """When the click sounds, seconds."""
    return float(np.abs(samples).argmax()) / SAMPLE_RATE


def test_wav_comes_back_as_written(tmp_path: Path) -> None:
    """Sixteen bits are all that is lost."""
    write_wav(tmp_path / "a.wav", tone(1.0))

    found = read_audio(tmp_path / "a.wav")

    assert np.abs(found - tone(1.0)).max() < 1e-4


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    """A tone keeps its pitch, height and length."""
    write_pcm(tmp_path / "a.wav", tone(1.0, rate=rate)[:, None], rate)

    found = read_audio(tmp_path / "a.wav")

    assert SAMPLE_RATE == pytest.approx(found.size, abs=2)
    inside = slice(800, -800)
    assert np.abs(found[: tone(1.0).size][inside] - tone(1.0)[inside]).max() < 0.01


def test_loud_stereo_is_averaged_and_does_not_clip(tmp_path: Path) -> None:
    """Two channels at 0.9 of full scale stay at 0.9, not at 1.8 cut to 1."""
    loud = 1.8 * tone(0.5, rate=44_100)
    write_pcm(tmp_path / "a.wav", np.stack([loud, loud], axis=1), 44_100)

    found = read_audio(tmp_path / "a.wav")

    assert 0.9 == pytest.approx(np.abs(found).max(), abs=0.01)


def test_opposite_channels_cancel(tmp_path: Path) -> None:
    """Mono is the average, so opposite channels are silent."""
    write_pcm(tmp_path / "a.wav", np.stack([tone(0.5), -tone(0.5)], axis=1), SAMPLE_RATE)

    assert np.abs(read_audio(tmp_path / "a.wav")).max() < 1e-3


@pytest.mark.parametrize(
    ("video_start_s", "audio_start_s"), [(0.0, 0.0), (0.0, 0.4), (0.4, 0.0), (0.3, 0.5)]
)
def test_sound_is_cut_to_the_frames_clock(
    tmp_path: Path, video_start_s: float, audio_start_s: float
) -> None:
    """A click keeps its place against the pictures whichever stream starts first."""
    path = write_click_video(tmp_path / "a.mkv", 1.0, video_start_s, audio_start_s)

    found = read_audio(path, start_s=probe_video(path).start_s)

    assert audio_start_s + 1.0 - video_start_s == pytest.approx(click_time(found), abs=2e-3)


def test_sound_may_be_the_first_stream(tmp_path: Path) -> None:
    """The order of streams does not matter."""
    path = write_click_video(tmp_path / "a.mkv", 0.5, 0.0, 0.0, is_audio_first=True)

    found = read_audio(path, start_s=probe_video(path).start_s)

    assert 0.5 == pytest.approx(click_time(found), abs=2e-3)


def test_video_without_sound_is_refused_as_such(tmp_path: Path) -> None:
    """``no_audio`` is its own code, so that callers can make it a warning."""
    path = write_video(tmp_path / "a.mp4", [numbered_frame(1)] * 5, [k / 25 for k in range(5)])

    with pytest.raises(InvalidInput) as refusal:
        read_audio(path)

    assert "no_audio" == refusal.value.code


def test_text_is_no_sound(tmp_path: Path) -> None:
    """A text file is unreadable."""
    (tmp_path / "a.wav").write_text("hello", encoding="utf-8")

    with pytest.raises(InvalidInput) as refusal:
        read_audio(tmp_path / "a.wav")

    assert "unreadable_media" == refusal.value.code


def test_long_sound_is_refused(tmp_path: Path) -> None:
    """The limit of seconds holds for sound too."""
    write_wav(tmp_path / "a.wav", tone(2.0))

    with pytest.raises(InvalidInput) as refusal:
        read_audio(tmp_path / "a.wav", limits=MediaLimits(max_seconds=1.0))

    assert "too_long" == refusal.value.code


def test_shift_drops_or_fills_the_start() -> None:
    """Positive shifts drop samples, negative ones put silence first."""
    samples = np.arange(1, 5, dtype=np.float32)

    assert [3, 4] == shift_audio(samples, 2).tolist()
    assert [0, 0, 1, 2, 3, 4] == shift_audio(samples, -2).tolist()


def test_fit_length_cuts_or_fills_the_end() -> None:
    """The result has exactly the length asked for."""
    samples = np.ones(4, np.float32)

    assert [1, 1] == fit_length(samples, 2).tolist()
    assert [1, 1, 1, 1, 0, 0] == fit_length(samples, 6).tolist()
