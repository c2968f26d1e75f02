"""Avatar: trained, drivable Gaussians of one subject."""

from typing import Literal

from shared.contracts.artifact import Column, Manifest
from shared.contracts.motion import MOTION_TABLE

TRAINING_TABLE = {
    **MOTION_TABLE,
    "shape": Column("float32", ("K",), "1", "the subject's neutral in the head model's basis"),
    "body": Column("float32", ("T", 6), "rad, m", "torso motion seen: axis-angle, then shift"),
}
"""Arrays of ``tracking.npz``."""


HELDOUT_TABLE = {
    "rotation": Column("float32", ("T", 3), "rad", "global head rotation, axis-angle"),
    "translation": Column("float32", ("T", 3), "m", "global head translation"),
}
"""Arrays of ``heldout_pose.npz``."""


class AvatarManifest(Manifest):
    """Folder contents.

    gaussians.safetensors    parameters of the avatar method
    head_model.npz           the fitted head model
    tracking.npz             TRAINING_TABLE: the training frames' motion, to loop head pose from
    upper_face.npz           UPPER_FACE_TABLE: their brows and blinks (where the method asks)
    heldout_pose.npz         HELDOUT_TABLE: the held-out frames' head pose after photometric
                             refinement of its six numbers (absent without a hold-out)
    plate.png                background plate at the capture's size
    motion_model/            fitted motion model (artifact ``motion_model``; absent without sound)
    curve.json               validation curve of the training
    previews/*.png           pictures taken while training
    """

    kind: Literal["avatar"] = "avatar"
    schema_version: int = 2
    """2: says what else than the head model's parameters a motion must carry."""
    method: str
    """Registry name of the avatar method."""
    method_options: dict[str, int | float | str | bool]
    """Structure of the method, enough to rebuild it before loading its parameters."""
    head_model: str
    """A motion must be in this head model's parameters."""
    expression_names: list[str]
    """A motion must have these expressions, in this order."""
    feature_encoder: str | None = None
    """A motion must carry features of this audio encoder; None when it need not."""
    feature_rows: int = 0
    """In windows of so many rows."""
    needs_upper_face: bool = False
    """Whether a motion must carry the upper face."""
    fps: int
    """Frame rate of the capture that it was trained on."""
    rasterizer: str
    """Registry name of the rasterizer used in training."""
    n_gaussians: int
    """How many Gaussians there are."""
    capture_sha256: str
    """Of the capture, which consent is bound to."""
    capture_width: int
    """Pixels."""
    capture_height: int
    """Pixels."""
    crop_size: int
    """Side of the square that the avatar renders."""
    crop: tuple[float, float, float]
    """Left, top, side of the reference crop in capture pixels."""
    K: list[list[float]]
    """Intrinsics of the reference crop."""
    viewmat: list[list[float]]
    """World to camera."""
    preset: str
    """draft, standard or high."""
    n_steps: int
    """Optimizer steps taken."""
    seed: int
    """Seed of everything random in the training."""
