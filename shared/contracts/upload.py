"""Upload: what a worker found when it looked at uploaded bytes."""

from typing import Literal

from shared.contracts.artifact import Manifest

Purpose = Literal["capture", "speech", "consent"]


class UploadManifest(Manifest):
    """Folder: nothing but this; the bytes stay where they were uploaded."""

    kind: Literal["upload"] = "upload"
    purpose: Purpose
    """What it is for: the video of a person, a recording to speak, or a video of consent."""
    sha256: str
    """Of the bytes, as found."""
    n_bytes: int
    """Size, as found."""
    duration_seconds: float
    """As the file announces it; 0 when it does not."""
    width: int
    """Pixels, upright; 0 without a picture."""
    height: int
    """Pixels, upright; 0 without a picture."""
    has_audio: bool
    """Whether there is sound."""
