"""Reads the sound of any file as 16 kHz mono and writes wav files.

Channels are averaged, so that a loud stereo recording does not clip; a recording whose samples
exceed full scale is scaled down as a whole.
"""

import wave
from collections.abc import Iterator
from math import gcd
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray
from scipy.signal import resample_poly

from shared.errors import InvalidInput
from shared.media.container import DEFAULT_LIMITS, MediaLimits, open_media, too_long

F32 = NDArray[np.float32]

SAMPLE_RATE = 16_000


def read_audio(
    path: Path,
    sample_rate: int = SAMPLE_RATE,
    start_s: float | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> F32:
    """Read the best audio stream, wherever it is in the file, as mono.

    Args:
        path: Any file FFmpeg reads.
        sample_rate: Of the result, in Hz.
        start_s: Time on the container's clock that becomes sample 0, such as
            ``VideoInfo.start_s``: sound before it is cut, missing sound is silence. None starts
            at the first sample.
        limits: What is read at most.

    Returns:
        Samples, -1 to 1. [n]

    Raises:
        InvalidInput: ``no_audio`` without an audio stream; as ``open_media`` otherwise.
    """
    with open_media(path, limits) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            raise InvalidInput("no_audio", f"{path.name} has no sound")
        mono, rate, first_s = _decode_mono(container, stream, limits)
    if not mono.size:
        raise InvalidInput("no_audio", f"the sound of {path.name} cannot be decoded")
    if start_s is not None:
        mono = shift_audio(mono, round((start_s - first_s) * rate))
    return _to_rate(mono, rate, sample_rate)


def shift_audio(samples: F32, n_samples: int) -> F32:
    """Drop ``n_samples`` at the start, or put that much silence there when negative."""
    if n_samples >= 0:
        return samples[n_samples:]
    return np.concatenate([np.zeros(-n_samples, np.float32), samples])


def fit_length(samples: F32, n_samples: int) -> F32:
    """Cut, or fill with silence at the end, to exactly ``n_samples``."""
    missing = max(n_samples - samples.size, 0)
    return np.concatenate([samples[:n_samples], np.zeros(missing, np.float32)])


def write_wav(path: Path, samples: F32, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono samples (-1 to 1, limited) as 16-bit wav; equal samples give equal bytes."""
    pcm = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.tobytes())


def _decode_mono(
    container: InputContainer, stream: AudioStream, limits: MediaLimits
) -> tuple[F32, int, float]:
    """Average of the channels at the stream's rate, that rate, and the time of the first sample.

    Gaps in the time stamps become silence, overlaps are cut; a damaged packet is a gap.
    """
    rate = 0
    first_s = 0.0
    pieces: list[F32] = []
    n_written = 0
    for time_s, mono, frame_rate in _mono_frames(container, stream):
        if not rate:
            rate = frame_rate
            first_s = time_s or 0.0
        missing = 0 if time_s is None else round((time_s - first_s) * rate) - n_written
        if n_written + mono.size + max(missing, 0) > limits.max_seconds * rate:
            raise too_long(f"over {limits.max_seconds:.0f} s of sound", limits)
        # Containers round time stamps; only real jumps count.
        piece = shift_audio(mono, -missing) if abs(missing) > rate // 50 else mono
        pieces.append(piece)
        n_written += piece.size
    joined = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return joined, rate, first_s


def _mono_frames(
    container: InputContainer, stream: AudioStream
) -> Iterator[tuple[float | None, F32, int]]:
    """Yield time, averaged samples and rate of each decoded frame, at the first frame's rate."""
    converter: AudioResampler | None = None
    rate = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, ValueError):
            return  # The container is damaged from here on.
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            rate = rate or frame.sample_rate
            time_s = None if frame.time is None else float(frame.time)
            if converter is None:
                converter = AudioResampler(format="fltp", layout=frame.layout, rate=rate)
            for part in converter.resample(frame):
                yield time_s, part.to_ndarray().mean(axis=0, dtype=np.float32), rate


def _to_rate(samples: F32, rate: int, wanted: int) -> F32:
    """Resample, and scale a recording that exceeds full scale down to it."""
    if rate != wanted:
        divisor = gcd(rate, wanted)
        samples = resample_poly(samples, wanted // divisor, rate // divisor)
    peak = float(np.abs(samples).max(initial=0.0))
    return np.asarray(samples / max(peak, 1.0), dtype=np.float32)
