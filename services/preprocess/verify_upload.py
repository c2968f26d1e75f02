"""Looks at uploaded bytes before anything uses them: the right ones, and media that can be read."""

import hashlib
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.artifact import write_manifest
from shared.contracts.upload import Purpose, UploadManifest
from shared.errors import InvalidInput
from shared.media.audio import SAMPLE_RATE, read_audio
from shared.media.container import DEFAULT_LIMITS, MediaLimits, open_media
from shared.media.video import VideoInfo, probe_video, sample_frames
from shared.progress import Progress

N_SAMPLES = 5
"""Frames that are decoded, spread over the video."""
_CHUNK = 1 << 20


class VerifyOptions(BaseModel):
    """What the caller announced, and what is taken at most."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    purpose: Purpose = "capture"
    """What it is for."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Announced digest."""
    n_bytes: int = Field(ge=0)
    """Announced size."""
    max_seconds: float = Field(default=DEFAULT_LIMITS.max_seconds, gt=0)
    """Longest media."""
    max_side_px: int = Field(default=DEFAULT_LIMITS.max_side_px, ge=16)
    """Largest width or height."""
    max_streams: int = Field(default=DEFAULT_LIMITS.max_streams, ge=1)
    """Most streams in one file."""

    def limits(self) -> MediaLimits:
        """As the readers of media take them."""
        return MediaLimits(
            max_bytes=max(self.n_bytes, 1),
            max_seconds=self.max_seconds,
            max_side_px=self.max_side_px,
            max_streams=self.max_streams,
        )


def verify_upload(
    upload: Path, options: VerifyOptions, out: Path, progress: Progress
) -> UploadManifest:
    """Compare ``upload`` with what was announced and decode samples of it.

    Raises:
        InvalidInput: ``wrong_size``, ``wrong_checksum``; ``unreadable_media``, ``still_image``,
            ``too_long``, ``resolution_too_high``, ``too_many_streams``, ``no_audio``.
    """
    _check_bytes(upload, options, progress)
    limits = options.limits()
    if options.purpose == "speech":
        samples = read_audio(upload, limits=limits)
        info = VideoInfo(0, 0, 0.0, samples.size / SAMPLE_RATE, has_audio=True)
    else:
        info = _look_at_video(upload, limits, progress)
    manifest = UploadManifest(
        purpose=options.purpose,
        sha256=options.sha256,
        n_bytes=options.n_bytes,
        duration_seconds=round(info.duration_s, 3),
        width=info.width,
        height=info.height,
        has_audio=info.has_audio,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_manifest(out, manifest)
    progress(1.0, "verified")
    return manifest


def _check_bytes(upload: Path, options: VerifyOptions, progress: Progress) -> None:
    size = upload.stat().st_size
    if size != options.n_bytes:
        raise InvalidInput(
            "wrong_size",
            f"{size} bytes arrived, {options.n_bytes} were announced; upload the file again",
        )
    digest = hashlib.sha256()
    n_read = 0
    with upload.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            n_read += len(chunk)
            progress(0.5 * n_read / size, "comparing the checksum")
    if digest.hexdigest() != options.sha256:
        raise InvalidInput(
            "wrong_checksum",
            "the bytes that arrived have another SHA-256 than was announced; upload the file again",
        )


def _look_at_video(upload: Path, limits: MediaLimits, progress: Progress) -> VideoInfo:
    with open_media(upload, limits) as container:
        _check_announced(container, limits)
        has_audio = any(isinstance(each, AudioStream) for each in container.streams)
    info = probe_video(upload, limits)
    for number, _frame in enumerate(sample_frames(upload, N_SAMPLES, limits), 1):
        progress(0.5 + 0.5 * number / N_SAMPLES, "looking at frames")
    return info._replace(has_audio=has_audio)


def _check_announced(container: InputContainer, limits: MediaLimits) -> None:
    """Refuse huge pictures by their header, before a decoder makes room for them."""
    for stream in container.streams.video:
        side = max(stream.width, stream.height)
        if side > limits.max_side_px:
            raise InvalidInput(
                "resolution_too_high",
                f"frames of {stream.width}x{stream.height} pixels; "
                f"at most {limits.max_side_px} on a side are read",
            )
