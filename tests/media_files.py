"""Media files for the tests, ordinary and awkward ones, made with PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_CLOCK = 90_000


def numbered_frame(number: int, width: int = 64, height: int = 48) -> U8:
    """A grey picture whose level tells its number (0 to 50), darker in the upper left quarter."""
    frame = np.full((height, width, 3), 20 + 4 * number, dtype=np.uint8)
    frame[: height // 2, : width // 2] -= 20
    return frame


def number_of(frame: U8) -> int:
    """The number of a decoded ``numbered_frame``."""
    return round((float(frame[-frame.shape[0] // 4 :, -8:].mean()) - 20) / 4)


def write_video(
    path: Path,
    frames: Sequence[U8],
    times_s: Sequence[float],
    audio: F32 | None = None,
    audio_start_s: float = 0.0,
    *,
    is_audio_first: bool = False,
    codec: str = "libx264",
) -> Path:
    """Write frames at any times, with mono sound at 16 kHz from ``audio_start_s`` on."""
    with av.open(str(path), mode="w") as container:
        sound = _add_sound(container) if audio is not None and is_audio_first else None
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, _CLOCK)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "10", "threads": "1"}
        if audio is not None and sound is None:
            sound = _add_sound(container)
        for frame, time in zip(frames, times_s, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = round(time * _CLOCK), Fraction(1, _CLOCK)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if audio is not None and sound is not None:
            _mux_sound(container, sound, audio, audio_start_s)
    return path


def write_numbered(path: Path, n_frames: int, fps: float = 25.0) -> Path:
    """Write ``numbered_frame`` 0, 1, 2, ... at a constant rate."""
    frames = [numbered_frame(number) for number in range(n_frames)]
    return write_video(path, frames, [number / fps for number in range(n_frames)])


def set_rotation(path: Path, degrees: int) -> None:
    """Write a clockwise turn of 90 or 180 degrees into an mp4's track header, as phones do."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 36  # version and flags, then fields of version 0
    one = 1 << 16
    turns = {
        90: (0, one, 0, -one, 0, 0, 0, 0, 1 << 30),
        180: (-one, 0, 0, 0, -one, 0, 0, 0, 1 << 30),
    }
    data[matrix : matrix + 36] = np.array(turns[degrees], dtype=">i4").tobytes()
    path.write_bytes(bytes(data))


def set_edit_list(path: Path, start_s: float, seconds: float) -> None:
    """Let an mp4's only edit show ``seconds`` of its first track from ``start_s`` on."""
    data = bytearray(path.read_bytes())
    movie_scale = int.from_bytes(data[(place := data.index(b"mvhd")) + 16 : place + 20], "big")
    media_scale = int.from_bytes(data[(place := data.index(b"mdhd")) + 16 : place + 20], "big")
    entry = data.index(b"elst") + 12
    data[entry : entry + 4] = round(seconds * movie_scale).to_bytes(4, "big")
    data[entry + 4 : entry + 8] = round(start_s * media_scale).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def _add_sound(container: av.container.OutputContainer) -> AudioStream:
    stream = container.add_stream("pcm_s16le" if _is_pcm(container) else "aac", rate=16_000)
    assert isinstance(stream, AudioStream)
    stream.layout = "mono"
    return stream


def _is_pcm(container: av.container.OutputContainer) -> bool:
    return "matroska" in container.format.name


def _mux_sound(
    container: av.container.OutputContainer, stream: AudioStream, audio: F32, start_s: float
) -> None:
    pcm = (np.clip(audio, -1, 1) * 32767).astype(np.int16)
    for start in range(0, len(pcm), 1024):
        frame = av.AudioFrame.from_ndarray(pcm[None, start : start + 1024], "s16", "mono")
        frame.sample_rate = 16_000
        frame.pts, frame.time_base = start + round(start_s * 16_000), Fraction(1, 16_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
