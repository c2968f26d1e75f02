"""Opens uploads, which are hostile, with no way out of the file and within limits.

The file is opened through a Python stream with every FFmpeg protocol closed, so that a playlist
cannot reach another file or host.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer

from shared.errors import InvalidInput


class MediaLimits(NamedTuple):
    """What is read at most."""

    max_bytes: int = 2 * 2**30
    max_seconds: float = 1200.0
    max_side_px: int = 4096
    max_streams: int = 16


DEFAULT_LIMITS = MediaLimits()


@contextmanager
def open_media(path: Path, limits: MediaLimits = DEFAULT_LIMITS) -> Iterator[InputContainer]:
    """Open a media file with no way out of it, and check it against ``limits``.

    Raises:
        InvalidInput: ``unreadable_media``, ``too_large``, ``too_long`` or ``too_many_streams``.
    """
    size = path.stat().st_size if path.is_file() else 0
    if not size:
        raise InvalidInput("unreadable_media", f"{path} is not a file or is empty")
    if size > limits.max_bytes:
        raise InvalidInput(
            "too_large", f"{path.name} has {size} bytes; at most {limits.max_bytes} are read"
        )
    with path.open("rb") as stream:
        try:
            container = av.open(stream, mode="r", options={"protocol_whitelist": "data"})
        except (av.FFmpegError, ValueError) as error:
            raise InvalidInput(
                "unreadable_media",
                f"{path.name} is not a video or sound file that can be read ({_reason(error)}); "
                "export it again, for example as mp4",
            ) from error
        with container:
            _check_limits(container, path, limits)
            yield container


def _check_limits(container: InputContainer, path: Path, limits: MediaLimits) -> None:
    if len(container.streams) > limits.max_streams:
        raise InvalidInput(
            "too_many_streams",
            f"{path.name} has {len(container.streams)} streams; at most {limits.max_streams}",
        )
    seconds = (container.duration or 0) / 1_000_000
    if seconds > limits.max_seconds:
        raise too_long(f"{path.name} lasts {seconds:.0f} s", limits)


def too_long(found: str, limits: MediaLimits) -> InvalidInput:
    """Build the refusal of a file that lasts too long."""
    return InvalidInput(
        "too_long", f"{found}; at most {limits.max_seconds:.0f} s are read, cut the file"
    )


def _reason(error: Exception) -> str:
    """FFmpeg's own words without the path."""
    return str(getattr(error, "strerror", None) or error)
