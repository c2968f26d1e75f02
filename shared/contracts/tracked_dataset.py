"""Tracked dataset: a capture's frames with camera, head-model parameters, masks and sound.

Several cameras: each picture is a frame of its own, with the head-model parameters of its moment.
The first frame's camera is the capture's; the held-out frames are of that camera alone.

Folder:
    frames/000000.jpg    square crop, S x S, RGB
    mattes/000000.png    person matte, S x S, uint8 (255 = person)
    regions/000000.png   face regions, S x S, uint8 labels (REGIONS)
    plate.png            background without the person, at the capture's size, RGB
    audio.wav            16 kHz mono, cut to the frames, offset corrected; absent without sound
    tracking.npz         TRACKING_TABLE
    upper_face.npz       UPPER_FACE_TABLE, supplied by the user; absent when it follows the tracking
    flow_pose.npz        FLOW_POSE_TABLE: head poses steadied by optical flow; absent in older and
                         imported datasets
    views.npz            VIEWS_TABLE: which camera shows which moment; absent with one camera
    head_model.npz       the head model fitted to the subject (shared.head_model)
    quality.json         rejected frames with reasons, fit errors
    tracking.mp4         mesh, pose axes, regions and matte drawn over the capture
    work/                what the steps leave for each other, for re-running single ones
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.contracts.artifact import Column, Manifest
from shared.contracts.motion import MOTION_TABLE

FPS = 25

REGIONS = (
    "background",
    "hair",
    "face",
    "lips",
    "teeth",
    "mouth_inside",
    "eyes",
    "brows",
    "nose",
    "ears",
    "neck",
    "torso",
)
"""Label of a region = its place in this tuple."""

TRACKING_TABLE = {
    **MOTION_TABLE,
    "shape": Column("float32", ("K",), "1", "the subject's neutral in the head model's basis"),
    "landmarks": Column(
        "float32", ("T", 478, 3), "px", "MediaPipe face mesh with irises, in crop pixels"
    ),
    "crops": Column("float32", ("T", 3), "px", "left, top and side of the crop in capture pixels"),
    "Ks": Column("float32", ("T", 3, 3), "px", "camera intrinsics in crop pixels"),
    "viewmat": Column("float32", (4, 4), "m", "world to camera, OpenCV axes; one for all frames"),
    "is_valid": Column("bool", ("T",), "1", "False: frame rejected, see quality.json"),
}


FLOW_POSE_TABLE = {name: MOTION_TABLE[name] for name in ("rotation", "translation")}
"""Arrays of ``flow_pose.npz``; the rest of a pose is as tracked."""

VIEWS_TABLE = {
    "camera_ids": Column("<U32", ("C",), "1", "names of the cameras"),
    "viewmats": Column("float32", ("C", 4, 4), "m", "world to camera, OpenCV axes, by camera"),
    "cameras": Column("int32", ("T",), "1", "camera of each frame"),
    "timesteps": Column("int32", ("T",), "1", "moment that each frame shows, from 0"),
}
"""Arrays of ``views.npz``."""


class RejectedFrame(BaseModel):
    """A frame that is not used, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    frame: int
    """Number of the frame at the dataset's rate, from 0."""
    reason: str
    """What is wrong with it."""


class TrackedDatasetManifest(Manifest):
    """Manifest of a tracked dataset."""

    kind: Literal["tracked_dataset"] = "tracked_dataset"
    fps: int = FPS
    """Frames per second after resampling."""
    n_frames: int
    """Frames T, training and held-out together."""
    n_train: int
    """The first ``n_train`` frames are for training; the rest is held out."""
    capture_sha256: str
    """Of the uploaded file, which consent is bound to."""
    capture_width: int
    """Pixels, upright."""
    capture_height: int
    """Pixels, upright."""
    crop_size: int
    """Side S of the stored frames, in pixels; even."""
    head_model: str
    """Registry name of the head model."""
    expression_names: list[str]
    """Names of the expression coefficients."""
    tracker: str
    """Registry name of the landmark tracker."""
    has_audio: bool
    """Whether ``audio.wav`` is there."""
    audio_offset_ms: float | None
    """Offset found between sound and picture, positive when sound is late."""
    audio_correction_ms: float = 0.0
    """How much of it was taken off ``audio.wav``: all, or nothing when unsure or unnoticeable."""
    warnings: list[str]
    """Codes such as ``no_audio``, each explained in quality.json."""
    rejected: list[RejectedFrame]
    """Frames not used, with reasons."""
