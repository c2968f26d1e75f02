"""What the end of a job means for the upload, avatar or video that it was about."""

from datetime import datetime, timedelta
from typing import Any

from api.db import removals, resources
from api.db.records import UploadStatus
from api.db.tables import avatars, videos
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import Job, JobStatus, job_prefix, stored_bytes

_TABLES = {"create_avatar": avatars, "create_video": videos}


def apply_outcome(work: UnitOfWork, job: Job, now: datetime) -> None:
    """Let what the job makes follow the job's state; other kinds make nothing of their own."""
    if job.kind == "verify_upload":
        _apply_to_upload(work, job, now)
    elif job.kind == "heartbeat":
        _clear_heartbeat(work, job, now)
    elif job.kind in _TABLES:
        changes: dict[str, Any] = {"status": resources.STATUS_OF_JOB[job.status]}
        if job.status is JobStatus.succeeded:
            changes["facts"] = _facts(job)
        resources.change_resource(work, _TABLES[job.kind], job.resource_id, changes, now)


def _apply_to_upload(work: UnitOfWork, job: Job, now: datetime) -> None:
    """A good upload becomes usable; a bad one is removed; one that was not looked at waits."""
    if not job.is_terminal:
        return
    if job.status is JobStatus.succeeded:
        folder = job_prefix(job.tenant_id, job.job_id)
        removals.add_removal(
            work, job.tenant_id, folder, now, counted_bytes=stored_bytes(job), job_id=job.job_id
        )  # its facts are in the row, nobody reads its files
    upload = resources.lock_upload(work, job.resource_id)
    if upload is None or upload.status is not UploadStatus.verifying:
        return
    if job.status is JobStatus.succeeded:
        found = {key: value for facts in _facts(job).values() for key, value in facts.items()}
        changes = {"status": UploadStatus.ready.value, "facts": found, "completed_at": now}
        resources.change_upload(work, upload.upload_id, changes)
        return
    if job.failure is None or job.failure.retryable:
        until = max(upload.expires_at, now + timedelta(hours=1))
        again = {"status": UploadStatus.pending.value, "job_id": None, "expires_at": until}
        resources.change_upload(work, upload.upload_id, again)
        return
    told = {"code": job.failure.code, "message": job.failure.message}
    rejected = {"status": UploadStatus.rejected.value, "failure": told}
    resources.change_upload(work, upload.upload_id, rejected)
    removals.add_removal(
        work, upload.tenant_id, upload.key, now, counted_bytes=upload.n_bytes, job_id=job.job_id
    )


def _clear_heartbeat(work: UnitOfWork, job: Job, now: datetime) -> None:
    """Nobody reads what it has written; a canceled one has seen to its account."""
    if job.is_terminal:
        is_counted = job.status is not JobStatus.canceled
        n_bytes = stored_bytes(job) if is_counted else 0
        folder = job_prefix(job.tenant_id, job.job_id)
        removals.add_removal(
            work, job.tenant_id, folder, now, counted_bytes=n_bytes, job_id=job.job_id
        )


def _facts(job: Job) -> dict[str, dict[str, Any]]:
    return {stage.name: dict(stage.output.facts) for stage in job.stages if stage.output}
