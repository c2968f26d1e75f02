"""Reads any video that FFmpeg decodes as upright RGB frames on a regular clock.

The clock starts at the first decodable frame; sound is cut to the same clock (shared.media.audio).
Size, duration, resolution and number of streams are limited (shared.media.container).
"""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.media.clock import resample
from shared.media.container import DEFAULT_LIMITS, MediaLimits, open_media, too_long

U8 = NDArray[np.uint8]

_PICTURE_FORMATS = ("image2", "_pipe", "ico", "ffmetadata")
_MAX_FPS = 240
# FFmpeg's default conversion to RGB is biased by about one level; this is exact to rounding.
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_SHORT_S = 30.0
_MAX_DECODED_PER_SAMPLE = 60


class VideoInfo(NamedTuple):
    """What a look at the header and the first frame tells."""

    width: int
    """Pixels, upright, square."""
    height: int
    start_s: float
    """Time of the first decodable frame on the container's clock: zero of our clock."""
    duration_s: float
    """From the first frame on, as announced; 0 when unknown."""
    has_audio: bool


class TimedFrame(NamedTuple):
    """A frame of the regular clock."""

    source_s: float
    """Time of the decoded frame that stands here; apart from the clock where frames are missing."""
    image: U8  # [H, W, 3]


def probe_video(path: Path, limits: MediaLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Look at the header and decode one frame.

    Raises:
        InvalidInput: ``unreadable_media``, ``still_image``, ``too_large``, ``too_long``,
            ``resolution_too_high`` or ``too_many_streams``.
    """
    with open_media(path, limits) as container:
        stream = _video_stream(container, path)
        first = next(_decode(container, stream, limits), None)
        if first is None:
            raise InvalidInput("unreadable_media", f"no frame of {path.name} can be decoded")
        height, width = _upright(first, _square_size(first, stream)).shape[:2]
        start = _time(first, 0.0)
        end = _announced_video_end(container, stream)
        return VideoInfo(
            width=width,
            height=height,
            start_s=start,
            duration_s=max(end - start, 0.0),
            has_audio=bool(container.streams.audio),
        )


def read_frames(path: Path, fps: float = 25, limits: MediaLimits = DEFAULT_LIMITS) -> Iterator[U8]:
    """Yield RGB frames [H, W, 3] at exactly ``fps``; see ``read_timed_frames``."""
    for frame in read_timed_frames(path, fps, limits):
        yield frame.image


def read_timed_frames(
    path: Path, fps: float = 25, limits: MediaLimits = DEFAULT_LIMITS
) -> Iterator[TimedFrame]:
    """Yield upright RGB frames at exactly ``fps``, each the decoded frame nearest in time.

    Frame i stands for the time i / fps after the first decodable frame, whatever the stream's
    own rate or variability. Damaged packets are skipped.

    Raises:
        InvalidInput: as ``probe_video``.
    """
    with open_media(path, limits) as container:
        stream = _video_stream(container, path)
        frames = _decode(container, stream, limits)
        first = next(frames, None)
        if first is None:
            raise InvalidInput("unreadable_media", f"no frame of {path.name} can be decoded")
        size = _square_size(first, stream)
        start = _time(first, 0.0)
        timed = _timed(chain([first], frames), start, float(stream.average_rate or fps), limits)
        end = _announced_end(container, stream) - start
        for time, frame in resample(timed, fps, end):
            yield TimedFrame(time, _upright(frame, size))


def sample_frames(
    path: Path, n_samples: int, limits: MediaLimits = DEFAULT_LIMITS
) -> Iterator[TimedFrame]:
    """Yield up to ``n_samples`` frames spread over the video, for a first look.

    A long video is not decoded in full: from the key frame before each wanted time, at most
    ``_MAX_DECODED_PER_SAMPLE`` frames are. ``source_s`` counts from the first frame.
    """
    info = probe_video(path, limits)
    if info.duration_s < _SHORT_S:
        fps = n_samples / info.duration_s if info.duration_s else 1.0
        yield from islice(read_timed_frames(path, fps, limits), n_samples)
        return
    last_s = -1.0
    with open_media(path, limits) as container:
        stream = _video_stream(container, path)
        for index in range(n_samples):
            wanted = info.start_s + info.duration_s * index / n_samples
            try:
                container.seek(int(wanted * 1_000_000), backward=True)
            except av.FFmpegError:
                return  # What cannot seek is looked at in full later.
            frame = _first_from(_decode(container, stream, limits), wanted)
            if frame is None:
                return
            time = _time(frame, wanted) - info.start_s
            if time > last_s:
                last_s = time
                yield TimedFrame(time, _upright(frame, _square_size(frame, stream)))


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    if any(name in container.format.name for name in _PICTURE_FORMATS):
        raise InvalidInput(
            "still_image",
            f"{path.name} is a still picture; a video of the person speaking is needed",
        )
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise InvalidInput("unreadable_media", f"{path.name} has no video that can be decoded")
    stream.thread_type = "AUTO"
    return stream


def _decode(
    container: InputContainer, stream: VideoStream, limits: MediaLimits
) -> Iterator[VideoFrame]:
    """Yield decoded frames in order; damaged packets are skipped, limits held."""
    n_decoded = 0
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
            n_decoded += 1
            if max(frame.width, frame.height) > limits.max_side_px:
                raise InvalidInput(
                    "resolution_too_high",
                    f"frames of {frame.width}x{frame.height} pixels; "
                    f"at most {limits.max_side_px} on a side are read",
                )
            if n_decoded > limits.max_seconds * _MAX_FPS:
                raise too_long(f"more than {n_decoded - 1} frames", limits)
            yield frame


def _timed(
    frames: Iterator[VideoFrame], start_s: float, rate: float, limits: MediaLimits
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield frames with their time since ``start_s``; those without one follow at ``rate``."""
    time = -1.0 / rate
    for frame in frames:
        time = _time(frame, start_s + time + 1.0 / rate) - start_s
        if time > limits.max_seconds:
            raise too_long(f"a frame at {time:.0f} s", limits)
        yield time, frame


def _announced_video_end(container: InputContainer, stream: VideoStream) -> float:
    """End of the pictures alone, where the header tells it."""
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return _announced_end(container, stream)


def _announced_end(container: InputContainer, stream: VideoStream) -> float:
    """End of the file on the container's clock as its header has it, in seconds."""
    if container.duration:
        return ((container.start_time or 0) + container.duration) / 1_000_000
    return _announced_video_end(container, stream) if stream.duration else 0.0


def _first_from(frames: Iterator[VideoFrame], wanted_s: float) -> VideoFrame | None:
    last = None
    for frame in islice(frames, _MAX_DECODED_PER_SAMPLE):
        last = frame
        if _time(frame, wanted_s) >= wanted_s - 1e-3:
            break
    return last


def _time(frame: VideoFrame, otherwise: float) -> float:
    return otherwise if frame.pts is None else float(frame.time)


def _square_size(frame: VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """Width and height as stored, made square-pixelled."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if 0.99 < aspect < 1.01 or not 0.2 < aspect < 5:  # noqa: PLR2004  # rounding; nonsense
        return frame.width, frame.height
    return max(2, round(frame.width * aspect / 2) * 2), frame.height


def _upright(frame: VideoFrame, size: tuple[int, int]) -> U8:
    """Convert to RGB of ``size`` (before turning; frames may change size midway) and turn."""
    image = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation=_EXACT)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))
