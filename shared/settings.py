"""Per-process settings, read from the environment once and passed on as values."""

import tempfile
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

    database_url: str | None = None
    """TALKSPLAT_DATABASE_URL: the gateway's PostgreSQL (postgresql+psycopg2://) or SQLite."""

    broker_url: str | None = None
    """TALKSPLAT_BROKER_URL: RabbitMQ, amqp://user:password@host:port/vhost."""

    store_url: str | None = None
    """TALKSPLAT_STORE_URL: object store; s3://ACCESS:SECRET@host:port/bucket or file:///folder."""

    work_dir: Path = Path(tempfile.gettempdir()) / "talksplat"
    """TALKSPLAT_WORK_DIR: where workers keep the files of the stages they run."""

    data_dir: Path = Path.home() / ".talksplat" / "platform"
    """TALKSPLAT_DATA_DIR: where ``talksplat serve`` keeps everything."""

    niceness: int = Field(default=0, ge=0, le=19)
    """TALKSPLAT_NICENESS: lowers the priority of stages' processes; ``serve`` takes 10."""

    stage_memory_gb: float = Field(default=0.0, ge=0)
    """TALKSPLAT_STAGE_MEMORY_GB: memory that a stage may have; 0 sets no limit."""

    worker_grace_seconds: float = Field(default=20.0, ge=0, le=24 * 3600)
    """TALKSPLAT_WORKER_GRACE_SECONDS: a stage that goes on for so long after SIGTERM is handed
    back."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """TALKSPLAT_METRICS_PORT: where a worker serves /metrics; 0 serves none."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Parse the ``TALKSPLAT_*`` variables of ``environment``; an empty one counts as not set.

    Raises:
        InvalidInput: ``bad_setting`` names the variable and what it may be.
    """
    variables = {field: f"TALKSPLAT_{field.upper()}" for field in Settings.model_fields}
    variables["n_threads"] = "TALKSPLAT_THREADS"
    given = {field: environment.get(name) for field, name in variables.items()}
    try:
        return Settings.model_validate({field: text for field, text in given.items() if text})
    except ValidationError as error:
        problem = error.errors()[0]
        name = variables[str(problem["loc"][0])]
        raise InvalidInput(
            "bad_setting", f"{name} is {problem['input']!r}: {problem['msg']}"
        ) from error


def require_setting(settings: Settings, field: str) -> str:
    """Value of a setting that this process cannot do without.

    Raises:
        InvalidInput: ``bad_setting`` names the variable.
    """
    value: str | None = getattr(settings, field)
    if value is None:
        said = Settings.model_fields[field].description or ""
        raise InvalidInput("bad_setting", f"not set: {said}")
    return value
