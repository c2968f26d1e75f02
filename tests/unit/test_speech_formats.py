"""Speech in whatever file people have: one tone, told by its pitch, length and height."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, read_audio

F32 = NDArray[np.float32]
HERTZ, SECONDS, HEIGHT = 440.0, 1.0, 0.5
FORMATS = [
    ("wav", "pcm_s16le", "mono", 8_000),
    ("wav", "pcm_s16le", "stereo", 44_100),
    ("wav", "pcm_u8", "mono", 11_025),
    ("wav", "pcm_s24le", "stereo", 96_000),
    ("wav", "pcm_f32le", "5.1", 48_000),
    ("wav", "pcm_mulaw", "mono", 8_000),
    ("aiff", "pcm_s16be", "stereo", 22_050),
    ("flac", "flac", "stereo", 48_000),
    ("mp3", "libmp3lame", "stereo", 44_100),
    ("m4a", "aac", "mono", 32_000),
    ("ogg", "libopus", "mono", 48_000),
    ("webm", "libopus", "stereo", 48_000),
    ("mka", "ac3", "5.1", 48_000),
]


def write_tone(path: Path, codec: str, layout: str, rate: int, height: float = HEIGHT) -> Path:
    """The same tone in every channel."""
    times = np.arange(round(SECONDS * rate)) / rate
    samples = (height * np.sin(2 * np.pi * HERTZ * times)).astype(np.float32)
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = layout
        converter = AudioResampler(format=stream.format, layout=layout, rate=rate)
        n_channels = stream.layout.nb_channels
        for start in range(0, len(samples), 4_096):
            part = np.repeat(samples[None, start : start + 4_096], n_channels, axis=0)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for fitting in converter.resample(frame):
                container.mux(stream.encode(fitting))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("kind", "codec", "layout", "rate"), FORMATS)
def test_any_format_rate_and_layout_is_heard(
    tmp_path: Path, kind: str, codec: str, layout: str, rate: int
) -> None:
    """Pitch, length and height are kept."""
    path = write_tone(tmp_path / f"speech.{kind}", codec, layout, rate)

    found = read_audio(path)

    inside = found[2_000:14_000]
    taper = np.hanning(len(inside))
    spectrum = np.abs(np.fft.rfft(inside * taper)) * 2 / taper.sum()
    assert HERTZ == pytest.approx(spectrum.argmax() * SAMPLE_RATE / len(inside), abs=2)
    assert SECONDS == pytest.approx(len(found) / SAMPLE_RATE, abs=0.06)
    assert HEIGHT == pytest.approx(spectrum.max(), abs=0.05)
    assert np.abs(found).max() < 1


def test_a_recording_beyond_full_scale_is_not_clipped(tmp_path: Path) -> None:
    """Floats at twice full scale come back as the same tone at full scale."""
    path = write_tone(tmp_path / "speech.wav", "pcm_f32le", "stereo", 48_000, height=2.0)

    found = read_audio(path)

    times = np.arange(len(found)) / SAMPLE_RATE
    expected = np.sin(2 * np.pi * HERTZ * times)
    inside = slice(500, -500)
    assert np.abs(found).max() <= 1.0
    assert np.abs(found[inside] - expected[inside]).max() < 0.02


@pytest.mark.parametrize("content", [b"", b"Dear Sir or Madam,\n" * 50, bytes(2_000)])
def test_files_without_sound_are_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, text, zeros."""
    path = tmp_path / "speech.wav"
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        read_audio(path)

    assert "unreadable_media" == refused.value.code


def test_ten_hours_are_refused_unheard(tmp_path: Path) -> None:
    """By what the file says of itself; nothing is decoded."""
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8_000)
        file.writeframes(b"\x80")
    n_samples = 36_000 * 8_000
    with path.open("r+b") as stream:
        stream.seek(4)
        stream.write((36 + n_samples).to_bytes(4, "little"))
        stream.seek(40)
        stream.write(n_samples.to_bytes(4, "little"))
        stream.truncate(44 + n_samples)  # a hole, no bytes on the disk

    with pytest.raises(InvalidInput, match="36000 s") as refused:
        read_audio(path)

    assert "too_long" == refused.value.code
