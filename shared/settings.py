"""Per-process settings, read from the environment once and passed on as values."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidInput


class Settings(BaseModel):
    """What the operator decides for a process; options of a job are something else."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    models_dir: Path = Path.home() / ".talksplat" / "models"
    """TALKSPLAT_MODELS_DIR: where optional model files lie."""

    n_threads: int = Field(default=0, ge=0)
    """TALKSPLAT_THREADS: compute threads; 0 takes every core."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Parse the ``TALKSPLAT_*`` variables of ``environment``; an empty one counts as not set.

    Raises:
        InvalidInput: ``bad_setting`` names the variable and what it may be.
    """
    variables = {"models_dir": "TALKSPLAT_MODELS_DIR", "n_threads": "TALKSPLAT_THREADS"}
    given = {field: environment.get(name) for field, name in variables.items()}
    try:
        return Settings.model_validate({field: text for field, text in given.items() if text})
    except ValidationError as error:
        problem = error.errors()[0]
        name = variables[str(problem["loc"][0])]
        raise InvalidInput(
            "bad_setting", f"{name} is {problem['input']!r}: {problem['msg']}"
        ) from error
