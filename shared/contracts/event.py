"""Events: what workers tell the gateway, JSON on the wire.

They may come twice, late or out of order: ``(job_id, stage, attempt)`` says what they are about,
and ``sequence`` grows within one run of an attempt.
"""

from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
)

from shared.contracts.command import Id, Name, Traceparent

MAX_MESSAGE = 2000
ErrorCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""One of those in docs/errors.md."""
Fact = bool | int | FiniteFloat | str | None


class AttemptEvent(BaseModel):
    """What every event of an attempt says."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    """Raised whenever the fields change."""
    event_id: Id
    """Equal in every copy of one event."""
    job_id: Id
    """The job."""
    stage: Name
    """The stage within the job's plan."""
    attempt: int = Field(ge=1)
    """The attempt that the command named."""
    worker_id: Id
    """Who ran it."""
    occurred_at: AwareDatetime
    """When, by the worker's clock, UTC."""
    sequence: int = Field(ge=0)
    """Place among the events of this run, from 0."""
    traceparent: Traceparent | None = None
    """That of the command."""


class StageStarted(AttemptEvent):
    """A worker has taken the attempt up."""

    type: Literal["stage_started"] = "stage_started"
    """Which event this is."""


class StageProgress(AttemptEvent):
    """The attempt is alive; comes at least every third of its lease."""

    type: Literal["stage_progress"] = "stage_progress"
    """Which event this is."""
    fraction: float = Field(ge=0, le=1)
    """Share of the stage that is done; never falls within one run."""
    message: str = Field(max_length=MAX_MESSAGE)
    """What is being done."""


class StageSucceeded(AttemptEvent):
    """Everything is uploaded and the manifest is in its place."""

    type: Literal["stage_succeeded"] = "stage_succeeded"
    """Which event this is."""
    manifest_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of ``manifest.json`` below the output prefix."""
    n_files: int = Field(ge=1)
    """Objects of the artifact, the manifest included."""
    n_bytes: int = Field(ge=0)
    """Their size together."""
    seconds: float = Field(ge=0)
    """Time from taking the attempt up to the manifest, for usage accounts."""
    facts: dict[str, Fact] = {}
    """Small figures that the gateway shows or decides by, such as the media's duration."""


class StageFailed(AttemptEvent):
    """The attempt ended without a result; what it had uploaded is removed."""

    type: Literal["stage_failed"] = "stage_failed"
    """Which event this is."""
    code: ErrorCode
    """For programs."""
    message: str = Field(max_length=MAX_MESSAGE)
    """For people: what was found, what was expected, what to do."""
    retryable: bool
    """Whether another attempt may do better."""
    seconds: float = Field(default=0, ge=0)
    """Time spent, for usage accounts."""


class StageCanceled(AttemptEvent):
    """The attempt was stopped as ordered; what it had uploaded is removed."""

    type: Literal["stage_canceled"] = "stage_canceled"
    """Which event this is."""
    seconds: float = Field(default=0, ge=0)
    """Time spent, for usage accounts."""


class WorkerSeen(BaseModel):
    """A worker lives; every five seconds, at its start and, with no slots, at its end."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: Literal["worker_seen"] = "worker_seen"
    """Which event this is."""
    schema_version: Literal[1] = 1
    """Raised whenever the fields change."""
    event_id: Id
    """Equal in every copy of one event."""
    worker_id: Id
    """Unique for each start of a worker."""
    service: Name
    """Whose stages it runs."""
    slots: int = Field(ge=0)
    """Stages it can run at once; 0 says that it leaves."""
    busy: int = Field(ge=0)
    """Stages it runs now."""
    occurred_at: AwareDatetime
    """When, by the worker's clock, UTC."""


StageEvent = StageStarted | StageProgress | StageSucceeded | StageFailed | StageCanceled
"""About an attempt."""
Event = Annotated[StageEvent | WorkerSeen, Field(discriminator="type")]
EVENT: TypeAdapter[StageEvent | WorkerSeen] = TypeAdapter(Event)
"""Reads and writes any event: ``EVENT.validate_json(body)``."""
