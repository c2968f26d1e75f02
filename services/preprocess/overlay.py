"""``tracking.mp4``: mesh, pose axes, regions and matte drawn over the capture, to look at."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from services.preprocess.projection import ProjectedHead
from services.preprocess.regions import ProjectedMesh
from shared.contracts.tracked_dataset import REGIONS

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_REGION_SHARE = 0.35
_MESH_COLOUR = (255, 255, 255)
_MATTE_COLOUR = (0, 255, 0)
_REJECTED_COLOUR = (255, 0, 0)
_AXIS_COLOURS = ((255, 64, 64), (64, 255, 64), (64, 128, 255))
_HIDDEN = ("teeth", "mouth_inside", "eyes", "torso")
"""Parts whose triangles lie behind others or clutter the picture."""


class TrackedFrame(NamedTuple):
    """What is drawn of one frame."""

    frame: U8  # [S, S, 3] RGB
    matte: U8  # [S, S]
    regions: U8  # [S, S]
    head: ProjectedHead
    reason: str
    """Why the frame is rejected; empty if it is not."""


def encode_overlay(path: Path, pictures: Iterable[U8], fps: int) -> None:
    """Encode RGB pictures [S, S, 3] of even size; equal pictures give equal bytes."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), mode="w", format="mp4", options=options) as container:
        stream: VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = _open_stream(container, picture, fps)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def draw_tracking(tracked: TrackedFrame, palette: U8) -> U8:
    """Draw one frame. [S, S, 3]"""
    tint = palette[tracked.regions]
    drawn = cv2.addWeighted(tracked.frame, 1.0 - _REGION_SHARE, tint, _REGION_SHARE, 0.0)
    _draw_mesh(drawn, tracked.head.mesh)
    outlines, _ = cv2.findContours(
        (tracked.matte >= 128).astype(np.uint8),  # noqa: PLR2004  # half covered
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_SIMPLE,
    )
    cv2.drawContours(drawn, outlines, -1, _MATTE_COLOUR, 1)
    axes = _fixed(tracked.head.axes)
    for end, colour in zip(axes[1:], _AXIS_COLOURS, strict=True):
        cv2.line(drawn, axes[0].tolist(), end.tolist(), colour, 2, cv2.LINE_AA, 4)
    if tracked.reason:
        last = drawn.shape[0] - 1
        cv2.rectangle(drawn, (0, 0), (last, last), _REJECTED_COLOUR, 6)
        name = tracked.reason.split(":")[0]
        cv2.putText(drawn, name, (12, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.7, _REJECTED_COLOUR, 2)
    return np.asarray(drawn, dtype=np.uint8)


def region_palette() -> U8:
    """One colour per region; the background is black. [regions, 3]"""
    hues = np.linspace(0, 179, len(REGIONS), endpoint=False)
    hsv = np.stack([hues, np.full_like(hues, 200), np.full_like(hues, 255)], axis=-1)
    palette = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    palette[0] = 0
    return np.asarray(palette, dtype=np.uint8)


def _draw_mesh(drawn: U8, mesh: ProjectedMesh) -> None:
    """Outline the triangles that face the camera, faintly."""
    hidden = [REGIONS.index(name) for name in _HIDDEN]
    corners = mesh.points[mesh.faces]  # [F, 3, 2]
    edges = corners[:, 1:] - corners[:, :1]
    is_front = np.cross(edges[:, 0], edges[:, 1]) < 0
    shown = corners[is_front & ~np.isin(mesh.labels, hidden)]
    layer = drawn.copy()
    cv2.polylines(layer, list(_fixed(shown)), True, _MESH_COLOUR, 1, cv2.LINE_8, 4)  # noqa: FBT003
    cv2.addWeighted(layer, 0.3, drawn, 0.7, 0.0, dst=drawn)


def _fixed(points: F32) -> NDArray[np.int32]:
    """Pixels with four fractional bits, as OpenCV draws them; far points come near."""
    return np.asarray(np.rint((np.clip(points, -4096, 8192) - 0.5) * 16), dtype=np.int32)


def _open_stream(container: av.container.OutputContainer, drawn: U8, fps: int) -> VideoStream:
    stream = container.add_stream("libx264", rate=Fraction(fps))
    assert isinstance(stream, VideoStream)  # libx264 makes video
    stream.height, stream.width = drawn.shape[:2]
    stream.pix_fmt = "yuv420p"
    # One thread: the bytes do not depend on the number of cores.
    stream.options = {"preset": "superfast", "crf": "23", "threads": "1"}
    return stream
