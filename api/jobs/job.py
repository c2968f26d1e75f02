"""A job: what a tenant asked for, and how far each of its stages is. Values only.

``attempt`` is the fencing token of a stage: it grows with every command sent, and what an older
attempt reports is refused. ``n_spent`` counts towards the limit: attempts that had started and then
were lost or failed for a reason that may pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from pydantic import TypeAdapter

from api.jobs.plan import StageSpec

JobId = NewType("JobId", str)
TenantId = NewType("TenantId", str)


class JobStatus(StrEnum):
    """What users see."""

    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    canceling = "canceling"
    canceled = "canceled"


class StageStatus(StrEnum):
    """What the engine knows of a stage."""

    waiting = "waiting"
    """Other stages come first."""
    ready = "ready"
    """The dispatcher may send it, from ``not_before`` on."""
    dispatched = "dispatched"
    """A command was sent; no worker has answered."""
    running = "running"
    """A worker holds a lease."""
    canceling = "canceling"
    """Its worker was told to stop; the lease still runs."""
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"


TERMINAL_JOB = frozenset({JobStatus.succeeded, JobStatus.failed, JobStatus.canceled})
TERMINAL_STAGE = frozenset({StageStatus.succeeded, StageStatus.failed, StageStatus.canceled})
OPEN_STAGE = frozenset({StageStatus.dispatched, StageStatus.running, StageStatus.canceling})
"""An attempt is under way, or may be."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed; shown to its tenant."""

    code: str
    message: str
    retryable: bool
    """Whether the same request may succeed later."""
    stage: str
    scores: Mapping[str, float] = field(default_factory=dict)
    """Of a video that did not reach the bars of its job."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """The accepted result of a stage."""

    prefix: str
    """Store key prefix of the artifact folder, with a closing slash."""
    manifest_sha256: str
    n_files: int
    n_bytes: int
    seconds: float
    facts: Mapping[str, Any]
    """Small scalars that the stage reports, such as a duration."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """State of one stage."""

    spec: StageSpec
    status: StageStatus = StageStatus.waiting
    attempt: int = 0
    n_spent: int = 0
    progress: float = 0.0
    """Share done, 0 to 1."""
    message: str = ""
    not_before: datetime | None = None
    """Back-off of a ready stage."""
    lease_until: datetime | None = None
    deadline_at: datetime | None = None
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    """Start of the present attempt."""
    progressed_at: datetime | None = None
    """When ``progress`` or ``message`` last changed."""
    is_stalled: bool = False
    worker_id: str | None = None
    sequence: int = -1
    """Of the newest progress event of this attempt."""
    output: Output | None = None
    last_failure: Failure | None = None
    """Of the newest attempt that failed or was lost, while others may follow."""

    @property
    def name(self) -> str:
        """Name in the plan."""
        return self.spec.name


@dataclass(frozen=True, kw_only=True)
class Job:
    """A tenant's request and its state."""

    job_id: JobId
    tenant_id: TenantId
    kind: str
    resource_id: str
    """The upload, avatar or video that it makes."""
    stages: tuple[Stage, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> store key, or prefix with a closing slash."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Stage name -> options of that stage."""
    status: JobStatus = JobStatus.queued
    failure: Failure | None = None
    created_at: datetime
    started_at: datetime | None = None
    """When the first worker answered."""
    finished_at: datetime | None = None
    traceparent: str = ""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more, unless the tenant retries."""
        return self.status in TERMINAL_JOB

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, if the plan has it."""
        return next((stage for stage in self.stages if stage.name == name), None)


def job_prefix(tenant_id: str, job_id: str) -> str:
    """Folder in the store of everything that a job makes."""
    return f"tenants/{tenant_id}/jobs/{job_id}/"


def output_prefix(job: Job, stage: str, attempt: int) -> str:
    """Folder of one attempt; nobody else writes there."""
    return f"{job_prefix(job.tenant_id, job.job_id)}{stage}/{attempt}/"


def checkpoint_prefix(job: Job, stage: str) -> str:
    """Folder of a stage's checkpoints, the same for all attempts."""
    return f"{job_prefix(job.tenant_id, job.job_id)}{stage}/checkpoints/"


def stored_bytes(job: Job) -> int:
    """Bytes of a job's accepted outputs."""
    return sum(stage.output.n_bytes for stage in job.stages if stage.output)


def job_progress(job: Job) -> float:
    """Share of the whole job that is done, 0 to 1, by the stages' shares."""
    total = sum(stage.spec.share for stage in job.stages)
    done = sum(stage.spec.share * _share_done(stage) for stage in job.stages)
    return done / total if total else 0.0


def current_stage(job: Job) -> Stage:
    """The stage to show: the earliest under way, else the earliest unfinished, else the last."""
    for wanted in (
        OPEN_STAGE,
        frozenset({StageStatus.ready}),
        frozenset({StageStatus.failed}),
        frozenset({StageStatus.waiting}),
        frozenset({StageStatus.canceled}),
    ):
        for stage in job.stages:
            if stage.status in wanted:
                return stage
    return job.stages[-1]


def dump_job(job: Job) -> dict[str, Any]:
    """JSON values of a job."""
    return _JOB.dump_python(job, mode="json")


def parse_job(stored: Mapping[str, Any]) -> Job:
    """The job that ``dump_job`` wrote."""
    return _JOB.validate_python(stored)


_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def _share_done(stage: Stage) -> float:
    return 1.0 if stage.status is StageStatus.succeeded else min(max(stage.progress, 0.0), 1.0)
