"""Motion model: what captures taught about how their subjects move when speaking."""

from typing import Literal

from shared.contracts.artifact import Column, Manifest

MOUTH_TABLE = {
    "is_mouth": Column("bool", ("P",), "1", "True: the mouth's; expressions, jaw pose, eyes pose"),
    "mean": Column("float32", ("P",), "1", "mean of the training frames"),
    "low": Column("float32", ("P",), "1", "smallest value shown"),
    "high": Column("float32", ("P",), "1", "largest value shown"),
    "closed": Column("float32", ("P",), "1", "the subject's closed mouth"),
    "pause": Column("float32", ("P",), "1", "the subject's mouth between phrases"),
    "gaps": Column("float32", ("Q",), "m", "inner lip gaps at zero coefficients"),
    "gap_effect": Column("float32", ("P", "Q"), "m", "change of the gaps per unit"),
}
"""Arrays of ``mouth.npz``: P = E + 3 + 6 coefficients, Q pairs of inner lip landmarks."""


class MotionModelManifest(Manifest):
    """Folder: ``mouth.npz`` (MOUTH_TABLE) and the files of the motion model's own.

    ``heldout.json`` tells how well it speaks the frames that its captures hold out, if any do.
    """

    kind: Literal["motion_model"] = "motion_model"
    schema_version: int = 2
    """2: may be of several captures, and may bring a report of their held-out frames."""
    motion_model: str
    """Registry name of the motion model."""
    audio_encoder: str
    """Registry names of the audio encoders it listens through, joined by "+"."""
    head_model: str
    """Registry name of the head model whose parameters it predicts."""
    expression_names: list[str]
    """Names of the E expression coefficients that it predicts."""
    fps: int
    """Frame rate of the capture it was fitted to."""
    n_frames: int
    """Valid training frames it was fitted to."""
    capture_sha256: str
    """Of the capture, which consent is bound to; of the first one where there are several."""
    other_captures: tuple[str, ...] = ()
    """SHA-256 of the other captures it was fitted to."""
    max_steps: int | None = None
    """Optimizer steps asked for; None left it to the model."""
    seed: int
    """Seed of everything random in the fit."""
