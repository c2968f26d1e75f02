"""Commands: what the gateway orders of workers, JSON on the wire.

``RunStage`` waits in the queue of its service; ``CancelStage`` goes to all workers at once.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter

from shared.contracts.store_key import InsidePath, KeyOrPrefix, StorePrefix

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Of a stage, a service or a kind of job."""
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Of a job, a tenant or a worker; opaque to workers."""
EntryName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
"""Of a stage function, such as ``trainer.train``."""
Traceparent = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
]
"""W3C trace context."""


class RunStage(BaseModel):
    """Run one stage once: fetch inputs, call the stage, upload what it made."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: Literal["run_stage"] = "run_stage"
    """Which command this is."""
    schema_version: Literal[1] = 1
    """Raised whenever the fields change."""
    job_id: Id
    """The job that this stage is a part of."""
    tenant_id: Id
    """Whose job it is; the store prefix of everything it touches."""
    kind: Name
    """Kind of the job, such as ``create_avatar``."""
    stage: Name
    """Name of the stage within the job's plan."""
    service: Name
    """Folder of ``services/`` whose workers can run it."""
    entry: EntryName
    """Which function of the service runs, such as ``trainer.train``."""
    attempt: int = Field(ge=1, le=1_000_000)
    """Fencing token: only ever grows for one job and stage."""
    inputs: dict[InsidePath, KeyOrPrefix] = {}
    """Path inside the workspace to the store key of a file, or to the prefix of an artifact."""
    options: dict[str, JsonValue] = {}
    """What the user chose; parsed and checked by the entry."""
    output_prefix: StorePrefix
    """Where outputs go, the manifest last."""
    checkpoint_prefix: StorePrefix
    """Where attempts of this stage leave checkpoints for the next one."""
    lease_seconds: float = Field(gt=0, le=3600)
    """The attempt counts as dead when nothing was heard of it for so long."""
    deadline_seconds: float = Field(gt=0, le=7 * 24 * 3600)
    """The attempt is stopped when it takes longer."""
    traceparent: Traceparent | None = None
    """Trace that the request began."""


class CancelStage(BaseModel):
    """Stop one attempt and remove what it has uploaded.

    A worker that does not run it ignores it, and one that takes it up later does not know of it:
    whoever sees an event of an attempt that was canceled or replaced sends the command again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: Literal["cancel_stage"] = "cancel_stage"
    """Which command this is."""
    schema_version: Literal[1] = 1
    """Raised whenever the fields change."""
    job_id: Id
    """The job."""
    stage: Name
    """The stage."""
    attempt: int = Field(ge=1, le=1_000_000)
    """The attempt to stop; others of the same stage go on."""


Command = Annotated[RunStage | CancelStage, Field(discriminator="type")]
COMMAND: TypeAdapter[RunStage | CancelStage] = TypeAdapter(Command)
"""Reads and writes any command: ``COMMAND.validate_json(body)``."""
