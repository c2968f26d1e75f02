"""Motion: what a head does in each frame, in the head model's own parameters."""

from typing import Literal

from shared.contracts.artifact import Column, Manifest

MOTION_TABLE = {
    "expr": Column("float32", ("T", "E"), "1", "expression coefficients, named in the manifest"),
    "rotation": Column("float32", ("T", 3), "rad", "global head rotation, axis-angle"),
    "neck_pose": Column("float32", ("T", 3), "rad", "neck joint, axis-angle"),
    "jaw_pose": Column("float32", ("T", 3), "rad", "jaw joint, axis-angle; x opens the mouth"),
    "eyes_pose": Column("float32", ("T", 6), "rad", "left and right eyeball, axis-angle"),
    "translation": Column("float32", ("T", 3), "m", "global head translation"),
}
"""Arrays of ``motion.npz``; a tracked dataset's and an avatar's pose tracks have the same."""

AUDIO_FEATURES_TABLE = {
    "audio_features": Column(
        "float32", ("T", "W", "C"), "1", "rows of an audio encoder around each frame"
    ),
}
"""Array of ``audio_features.npz``."""

UPPER_FACE_TABLE = {
    "upper_face": Column("float32", ("T", 7), "1", "brows and blinks, see shared.upper_face"),
}
"""Array of ``upper_face.npz``."""

PoseSource = Literal["capture", "fixed", "tracked", "keyframes", "driver"]


class MotionManifest(Manifest):
    """Folder: ``motion.npz`` (MOTION_TABLE), ``audio.wav`` (the speech, 16 kHz mono).

    For avatars that ask for them, ``audio_features.npz`` (AUDIO_FEATURES_TABLE) and
    ``upper_face.npz`` (UPPER_FACE_TABLE).
    """

    kind: Literal["motion"] = "motion"
    schema_version: int = 3
    """2: may carry audio features and the upper face. 3: may be driven in part by a video."""
    fps: int
    """Frames per second."""
    n_frames: int
    """Number of frames T."""
    head_model: str
    """Registry name of the head model whose parameters these are."""
    expression_names: list[str]
    """Names of the E expression coefficients."""
    motion_model: str
    """Registry name of the motion model that predicted it, or "tracked"."""
    audio_encoder: str | None
    """Registry names of the audio encoders used, joined by "+", if any."""
    pose_source: PoseSource
    """Where the head pose comes from."""
    driven_regions: tuple[str, ...] = ()
    """Face regions that follow another performance instead of the sound."""
    feature_encoder: str | None = None
    """Registry name of the audio encoder of ``audio_features.npz``; None without that file."""
    feature_rows: int = 0
    """Rows of its windows."""
    has_upper_face: bool = False
    """Whether ``upper_face.npz`` is there."""
