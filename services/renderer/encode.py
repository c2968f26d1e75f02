"""Frames and speech to a file: H.264 + AAC in mp4, or VP9 with alpha + Opus in webm.

Streaming: one frame and its share of the sound at a time. Equal input gives equal bytes: fixed
thread counts, no time stamps, no writer names (FFmpeg's bitexact flags).
"""

import wave
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from services.renderer.pixel_planes import Planes
from shared.errors import InvalidInput

U8 = NDArray[np.uint8]

_THREADS = 2
"""Encoder threads: fixed, since x264 writes the number into the stream."""
_BT709 = 1
_LIMITED_RANGE = 1


class Encoding(NamedTuple):
    """What the file shall be."""

    width: int
    height: int
    fps: int
    preset: str
    """x264's speed preset."""
    crf: int
    """Constant rate factor, lower is better."""
    has_alpha: bool
    """VP9 in webm with an alpha channel instead of H.264 in mp4."""


class Speech:
    """Reads a PCM wave file bit by bit; silence after its end."""

    def __init__(self, path: Path, start_seconds: float) -> None:
        try:
            # The reader outlives this function and is closed by ``close``.
            self._reader = wave.open(str(path), "rb")  # noqa: SIM115
        except (OSError, EOFError, wave.Error) as error:
            raise InvalidInput("bad_audio", f"{path.name} is not a PCM wave: {error}") from error
        if self._reader.getsampwidth() != 2 or self._reader.getnchannels() != 1:  # noqa: PLR2004
            self._reader.close()
            raise InvalidInput("bad_audio", f"{path.name} must be mono with 16 bits a sample")
        self.rate = self._reader.getframerate()
        start = min(round(start_seconds * self.rate), self._reader.getnframes())
        self._reader.setpos(start)

    def read(self, n_samples: int) -> NDArray[np.int16]:
        """The next samples. -> [n_samples]"""
        samples = np.zeros(n_samples, np.int16)
        found = np.frombuffer(self._reader.readframes(n_samples), np.dtype("<i2"))
        samples[: len(found)] = found
        return samples

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


class VideoWriter:
    """An open file; use as a context manager and call ``write`` once per frame."""

    def __init__(self, path: Path, encoding: Encoding, speech: Speech | None) -> None:
        self._fps = encoding.fps
        self._speech = speech
        self._n_written = 0
        self._n_samples = 0
        self._planes = Planes(encoding.width, encoding.height)
        self._has_alpha = encoding.has_alpha
        self._container: OutputContainer = av.open(
            str(path),
            "w",
            format="webm" if encoding.has_alpha else "mp4",
            options={"fflags": "+bitexact", "movflags": "+faststart"}
            if not encoding.has_alpha
            else {"fflags": "+bitexact"},
        )
        self._video = _add_video(self._container, encoding, self._planes)
        self._audio = _add_audio(self._container, encoding, speech.rate) if speech else None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored: even, since 4:2:0 halves both."""
        return self._planes.width, self._planes.height

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._container.close()
            if self._speech:
                self._speech.close()

    def write(self, frame: U8) -> None:
        """Encode the next frame and the sound that belongs to it. [H, W, 3 or 4]"""
        self._planes.fill(frame)
        picture = _picture(self._planes, has_alpha=self._has_alpha)
        picture.pts = self._n_written
        picture.time_base = Fraction(1, self._fps)
        self._container.mux(self._video.encode(picture))
        self._n_written += 1
        if self._speech and self._audio:
            end = round(self._n_written * self._speech.rate / self._fps)
            self._write_sound(self._audio, self._speech, end - self._n_samples)

    def _write_sound(self, stream: AudioStream, speech: Speech, n_samples: int) -> None:
        sound = av.AudioFrame.from_ndarray(
            speech.read(n_samples)[None], format="s16", layout="mono"
        )
        sound.sample_rate = speech.rate
        sound.pts = self._n_samples
        sound.time_base = Fraction(1, speech.rate)
        self._n_samples += n_samples
        self._container.mux(stream.encode(sound))

    def _flush(self) -> None:
        self._container.mux(self._video.encode(None))
        if self._audio:
            self._container.mux(self._audio.encode(None))


def _add_video(container: OutputContainer, encoding: Encoding, planes: Planes) -> VideoStream:
    if encoding.has_alpha:
        # Quality mode with one pass; cpu-used 4 keeps two encodes (colour, alpha) affordable.
        options = {"crf": str(encoding.crf), "deadline": "good", "cpu-used": "4", "row-mt": "0"}
        stream = container.add_stream("libvpx-vp9", rate=encoding.fps, options=options)
        stream.pix_fmt = "yuva420p"
        stream.bit_rate = 0
    else:
        options = {
            "preset": encoding.preset,
            "crf": str(encoding.crf),
            # 8x8 transforms make even the fastest preset High profile, and its files smaller.
            "x264-params": "chromaloc=1:8x8dct=1",
        }
        stream = container.add_stream("libx264", rate=encoding.fps, options=options)
        stream.pix_fmt = "yuv420p"
        stream.profile = "High"
    stream.width, stream.height = planes.width, planes.height
    stream.time_base = Fraction(1, encoding.fps)
    context = stream.codec_context
    context.flags |= Flags.bitexact
    context.thread_count = _THREADS
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _add_audio(container: OutputContainer, encoding: Encoding, rate: int) -> AudioStream:
    if encoding.has_alpha:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
    else:
        stream = container.add_stream("aac", rate=rate, layout="mono")
    stream.bit_rate = 96_000
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _picture(planes: Planes, *, has_alpha: bool) -> av.VideoFrame:
    picture = av.VideoFrame(planes.width, planes.height, "yuva420p" if has_alpha else "yuv420p")
    for target, plane in zip(
        picture.planes, (planes.y, planes.u, planes.v, planes.alpha), strict=False
    ):
        rows = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
        rows[: plane.shape[0], : plane.shape[1]] = plane
    picture.colorspace = _BT709
    picture.color_range = _LIMITED_RANGE
    return picture
