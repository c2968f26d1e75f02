"""Options of the trainer, and what the presets stand for."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Preset = Literal["draft", "standard", "high"]


class Budget(NamedTuple):
    """What a preset spends."""

    n_steps: int
    n_start: int
    """Gaussians at the start."""
    n_gaussians: int
    """Gaussians at most."""


BUDGETS: dict[Preset, Budget] = {
    "draft": Budget(n_steps=1200, n_start=10_000, n_gaussians=14_000),
    "standard": Budget(n_steps=2500, n_start=16_000, n_gaussians=32_000),
    "high": Budget(n_steps=24_000, n_start=24_000, n_gaussians=60_000),
}


class TrainOptions(BaseModel):
    """Choices for one training."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: str = "rigged_gaussians"
    """Registry name of the avatar method."""
    method_options: dict[str, int | float | str | bool] = {}
    """Structure of the method; each method names its own."""
    preset: Preset = "standard"
    """``draft`` in a minute, ``standard`` in some four, ``high`` overnight on a laptop."""
    max_steps: int | None = Field(None, ge=1)
    """Optimizer steps instead of the preset's; 300 is enough for a smoke test."""
    max_gaussians: int | None = Field(None, ge=100)
    """Gaussians instead of the preset's."""
    rasterizer: str = "auto"
    """Registry name of the rasterizer; ``auto`` takes a GPU where the stage finds one."""
    seed: int = 0
    """Seed of everything random."""

    def budget(self) -> Budget:
        """Steps and Gaussians of this training."""
        budget = BUDGETS[self.preset]
        n_most = self.max_gaussians or budget.n_gaussians
        return Budget(
            n_steps=self.max_steps or budget.n_steps,
            n_start=min(budget.n_start, n_most),
            n_gaussians=n_most,
        )
