"""Video: what the renderer leaves beside ``video.mp4``."""

from typing import Literal

from shared.contracts.artifact import Manifest


class VideoManifest(Manifest):
    """Folder: ``video.mp4`` or ``video.webm``, and ``artefacts.json``."""

    kind: Literal["video"] = "video"
    file: str
    """Name of the video file."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    fps: int
    """Frames per second."""
    n_frames: int
    """Number of frames."""
    codec: str
    """Video codec."""
    encoder_preset: str
    """Speed preset of the encoder."""
    encoder_crf: int
    """Constant rate factor: lower is better and larger."""
    rasterizer: str
    """Registry name of the rasterizer."""
    background: str
    """plate, alpha, or a colour such as #00ff00."""
