"""What a user may choose for the preprocessing of a capture."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.tracked_dataset import FPS

Step = Literal["track", "crop", "matte", "plate", "fit", "regions", "flow", "sound", "write"]
STEPS: tuple[Step, ...] = (
    "track",
    "crop",
    "matte",
    "plate",
    "fit",
    "regions",
    "flow",
    "sound",
    "write",
)
"""In order; each reads files that earlier ones left, so any may be corrected by hand."""


class PrepareOptions(BaseModel):
    """Options of ``prepare_dataset``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    holdout_seconds: float = Field(default=0.0, ge=0.0)
    """Seconds at the end of the capture that are kept from training."""
    from_step: Step = "track"
    """First step to run; the earlier ones' files are taken from the dataset folder."""
    to_step: Step = "write"
    """Last step to run; before ``write`` the folder stays without a manifest."""
    scale: float = Field(default=1.0, ge=0.5, le=4.0)
    """Widens the crop: 2 shows twice as much around the head."""
    tracker: str = "mediapipe_mesh"
    """Registry name of the landmark tracker."""
    head_model: str = "open_head"
    """Registry name of the head model that is fitted; others than the default need a file."""
    seed: int = Field(default=0, ge=0)
    """Seeds what is drawn at random."""

    @model_validator(mode="after")
    def _check_order(self) -> "PrepareOptions":
        if STEPS.index(self.from_step) > STEPS.index(self.to_step):
            raise ValueError(f"from_step {self.from_step} comes after to_step {self.to_step}")
        return self

    def steps(self) -> tuple[Step, ...]:
        """Steps to run, in order."""
        return STEPS[STEPS.index(self.from_step) : STEPS.index(self.to_step) + 1]

    def n_held_out(self) -> int:
        """Frames kept from training (measures.md, Splits)."""
        return round(FPS * self.holdout_seconds)
