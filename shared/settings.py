"""Per-process settings, read from the environment once and passed on as values."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """What the operator decides for a process; options of a job are something else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    models_dir: Path = Path.home() / ".talksplat" / "models"
    """TALKSPLAT_MODELS_DIR: where optional model files lie."""

    n_threads: int = 0
    """TALKSPLAT_THREADS: compute threads; 0 takes every core."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Parse the ``TALKSPLAT_*`` variables of ``environment``."""
    values: dict[str, object] = {}
    if models_dir := environment.get("TALKSPLAT_MODELS_DIR"):
        values["models_dir"] = Path(models_dir)
    if threads := environment.get("TALKSPLAT_THREADS"):
        values["n_threads"] = int(threads)
    return Settings.model_validate(values)
