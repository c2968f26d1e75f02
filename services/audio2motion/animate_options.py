"""Choices of ``animate_avatar``."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FaceRegion = Literal["mouth", "brows", "eyes", "head"]
"""``brows`` are all of the upper face but lids and gaze, which are ``eyes``."""


class AnimateOptions(BaseModel):
    """Choices of ``animate_avatar``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    pose_source: Literal["capture", "fixed", "keyframes", "driver"] = "capture"
    """Head pose looped from the capture, held still, from ``pose_keyframes`` or ``driver``."""
    pose_keyframes: Path | None = None
    """CSV of head poses: seconds, yaw, pitch, roll in degrees, x, y, z in metres."""
    driver: Path | None = None
    """Another performance: a tracked dataset of any video, or a motion."""
    driven: tuple[FaceRegion, ...] = ()
    """Regions that follow the driver instead of the sound; the head does by ``pose_source``."""
    gains: dict[FaceRegion, Annotated[float, Field(ge=0, le=3)]] = {}
    """How far a region moves, 1 as predicted."""
    smoothing_s: dict[FaceRegion, Annotated[float, Field(ge=0, le=2)]] = {}
    """Smoothing of a region, deviation in seconds."""
    blinks_per_minute: float | None = Field(default=None, ge=0, le=60)
    """None blinks as often as the capture."""
    motion_model: Path | None = None
    """Folder of another motion model; the avatar's own by default."""
    emotions: Path | None = None
    """CSV of emotions over time: seconds, emotion, intensity 0 to 1; neutral by default."""
    fps: int | None = Field(default=None, ge=1, le=120)
    """Frames per second; the capture's by default."""
    articulation: float = Field(default=1.0, ge=0.0, le=3.0)
    """0 moves the mouth as far as the model is sure of, 1 as lively as the subject did."""
    seed: int = 0
    """Decides when the eyes blink and where the loop of the head pose begins."""

    @model_validator(mode="after")
    def _needs_its_files(self) -> Self:
        if (self.pose_source == "keyframes") != (self.pose_keyframes is not None):
            raise ValueError("pose_source keyframes and pose_keyframes go together")
        if "head" in self.driven:
            raise ValueError("the head follows the driver with pose_source driver")
        is_driven = bool(self.driven) or self.pose_source == "driver"
        if is_driven != (self.driver is not None):
            raise ValueError("a driver goes with regions that follow it or pose_source driver")
        return self
