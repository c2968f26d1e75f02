"""Jobs, workers' events and a clock for tests of the engine."""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.jobs.job import Job, JobId, Stage, StageStatus, TenantId
from api.jobs.plan import StageSpec, check_plan
from shared.contracts.event import (
    StageCanceled,
    StageFailed,
    StageProgress,
    StageStarted,
    StageSucceeded,
)

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DIAMOND = check_plan(
    (
        StageSpec(name="a", service="preprocess", entry="test.run", inputs={"x": "job:x"}),
        StageSpec(name="b", service="trainer", entry="test.run", inputs={"a": "stage:a"}),
        StageSpec(name="c", service="audio2motion", entry="test.run", inputs={"a": "stage:a"}),
        StageSpec(
            name="d",
            service="renderer",
            entry="test.run",
            inputs={"b": "stage:b", "c": "stage:c"},
            max_attempts=2,
        ),
    )
)
"""One stage, two side by side, one that joins them."""


def make_job(
    plan: tuple[StageSpec, ...] = DIAMOND,
    *,
    job_id: str = "job_1",
    tenant_id: str = "ten_1",
    at: datetime = START,
) -> Job:
    """A job that has just been submitted."""
    return Job(
        job_id=JobId(job_id),
        tenant_id=TenantId(tenant_id),
        kind="create_avatar",
        resource_id="ava_1",
        inputs={"x": f"tenants/{tenant_id}/uploads/x"},
        stages=tuple(
            Stage(spec=spec, status=StageStatus.waiting if spec.needs else StageStatus.ready)
            for spec in plan
        ),
        created_at=at,
    )


def seconds(n: float) -> timedelta:
    """``n`` seconds."""
    return timedelta(seconds=n)


def _about(job: Job, stage: str, attempt: int | None, sequence: int, worker: str) -> dict[str, Any]:
    found = job.stage(stage)
    assert found is not None
    number = found.attempt if attempt is None else attempt
    return {
        "event_id": f"{job.job_id}-{stage}-{number}-{worker}-{sequence}",
        "job_id": job.job_id,
        "stage": stage,
        "attempt": number,
        "worker_id": worker,
        "occurred_at": START,
        "sequence": sequence,
    }


def started(
    job: Job, stage: str, *, attempt: int | None = None, worker: str = "w1", sequence: int = 0
) -> StageStarted:
    """A worker takes the attempt up; the present one unless another is named."""
    return StageStarted(**_about(job, stage, attempt, sequence, worker))


def progress(
    job: Job,
    stage: str,
    fraction: float,
    *,
    attempt: int | None = None,
    worker: str = "w1",
    sequence: int = 1,
) -> StageProgress:
    """A worker has got so far."""
    about = _about(job, stage, attempt, sequence, worker)
    return StageProgress(**about, fraction=fraction, message="working")


def succeeded(
    job: Job, stage: str, *, attempt: int | None = None, worker: str = "w1", sequence: int = 99
) -> StageSucceeded:
    """A worker is done."""
    about = _about(job, stage, attempt, sequence, worker)
    return StageSucceeded(
        **about, manifest_sha256="0" * 64, n_files=3, n_bytes=300, seconds=2.0, facts={"n": 1}
    )


def failed(
    job: Job,
    stage: str,
    *,
    is_retryable: bool,
    attempt: int | None = None,
    worker: str = "w1",
    sequence: int = 99,
) -> StageFailed:
    """A worker gives up."""
    about = _about(job, stage, attempt, sequence, worker)
    return StageFailed(
        **about, code="no_face", message="no face; film again", retryable=is_retryable
    )


def canceled(
    job: Job, stage: str, *, attempt: int | None = None, worker: str = "w1", sequence: int = 99
) -> StageCanceled:
    """A worker has stopped as it was told."""
    return StageCanceled(**_about(job, stage, attempt, sequence, worker))
