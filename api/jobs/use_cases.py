"""What tenants can do with jobs and with what jobs make; called by routes, inside a transaction.

Each takes an open ``UnitOfWork`` and plain values, changes rows and returns values. Ids and moments
come in with ``Origin``: ``origin.new_id("job")`` gives ``job_…``, unguessable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from api.db import jobs, listings, removals, resources, usage
from api.db.records import Avatar, ResourceStatus, Upload, UploadStatus, Video
from api.db.tables import avatars
from api.db.unit_of_work import UnitOfWork
from api.ids import missing
from api.jobs.apply import Origin, announce, apply_event, origin_at
from api.jobs.deletions import delete_avatar, delete_upload, delete_video
from api.jobs.job import (
    OPEN_STAGE,
    Job,
    JobId,
    JobStatus,
    Stage,
    StageStatus,
    TenantId,
    checkpoint_prefix,
)
from api.jobs.plan import PLANS, Options, Plan, plan_job
from api.jobs.signals import Announce, CancelRequested, RetryRequested, WorkersGone
from shared.errors import InvalidInput

__all__ = [
    "NewAvatar",
    "NewUpload",
    "NewVideo",
    "Origin",
    "cancel_job",
    "complete_upload",
    "delete_avatar",
    "delete_upload",
    "delete_video",
    "new_job",
    "rename_avatar",
    "request_upload",
    "requeue_job",
    "retry_job",
    "submit_avatar",
    "submit_job",
    "submit_video",
]


@dataclass(frozen=True, kw_only=True)
class NewUpload:
    """What a tenant says of the bytes it will send."""

    purpose: str
    content_type: str
    n_bytes: int
    sha256: str
    """64 lower-case hexadecimal digits."""
    file_name: str = ""
    lifetime: timedelta = timedelta(hours=24)
    """It must be completed within."""


@dataclass(frozen=True, kw_only=True)
class NewAvatar:
    """What an avatar is to be made from; consent was checked before (``api/consent.py``)."""

    name: str
    capture_upload_id: str
    consent_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    """Stage name -> its options, checked before."""
    avatar_id: str | None = None
    """Where the caller has drawn it already."""


@dataclass(frozen=True, kw_only=True)
class NewVideo:
    """What a video is to be made from."""

    name: str
    avatar_id: str
    speech_upload_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=dict)
    video_id: str | None = None
    """Where the caller has drawn it already."""


def request_upload(work: UnitOfWork, upload: NewUpload, origin: Origin) -> Upload:
    """Note an upload and keep room for it; the caller then presigns ``Upload.key``.

    Raises:
        InvalidInput: ``quota_stored_bytes`` the tenant has no room for it.
    """
    usage.take_bytes(work, work.tenant(), upload.n_bytes)
    row = Upload(
        upload_id=origin.new_id("upl"),
        tenant_id=work.tenant(),
        purpose=upload.purpose,
        file_name=upload.file_name,
        content_type=upload.content_type,
        n_bytes=upload.n_bytes,
        sha256=upload.sha256,
        status=UploadStatus.pending,
        job_id=None,
        facts={},
        failure=None,
        created_at=origin.now,
        expires_at=origin.now + upload.lifetime,
        completed_at=None,
    )
    resources.insert_upload(work, row)
    return row


def complete_upload(
    work: UnitOfWork, upload_id: str, origin: Origin, *, limits: Mapping[str, Any] | None = None
) -> tuple[Upload, Job]:
    """Have a worker verify what was uploaded; the same job again if that was asked before.

    ``limits`` are further options of the stage that verifies it.

    Raises:
        InvalidInput: ``not_found``, ``upload_expired``, ``quota_open_jobs``.
    """
    upload = resources.lock_upload(work, upload_id)
    if upload is None:
        raise missing("upl", upload_id)
    if upload.job_id is not None:
        job = jobs.get_job(work, upload.job_id)
        assert job is not None, "a job outlives what it is about"
        return upload, job
    if upload.status is not UploadStatus.pending or upload.expires_at <= origin.now:
        raise InvalidInput(
            "upload_expired", f"upload {upload_id} was not completed in time; request a new one"
        )
    wanted = {"sha256": upload.sha256, "n_bytes": upload.n_bytes, "purpose": upload.purpose}
    job = new_job(
        "verify_upload",
        work.tenant(),
        upload_id,
        origin,
        inputs={"upload": upload.key},
        options={"verify": {**wanted, **(limits or {})}},
    )
    submit_job(work, job, origin.now)
    changes = {"status": UploadStatus.verifying.value, "job_id": job.job_id}
    resources.change_upload(work, upload_id, changes)
    return replace(upload, status=UploadStatus.verifying, job_id=job.job_id), job


def submit_avatar(work: UnitOfWork, avatar: NewAvatar, origin: Origin) -> tuple[Avatar, Job]:
    """Queue the making of an avatar.

    Raises:
        InvalidInput: ``not_found``; ``upload_not_ready``; ``wrong_upload_purpose``; ``no_audio``;
            ``quota_open_jobs``; ``quota_stored_bytes``; ``quota_compute_seconds``.
    """
    capture = _ready_upload(work, avatar.capture_upload_id, "capture")
    avatar_id = avatar.avatar_id or origin.new_id("ava")
    job = new_job(
        "create_avatar",
        work.tenant(),
        avatar_id,
        origin,
        inputs={"capture": capture.key},
        options=avatar.options,
    )
    submit_job(work, job, origin.now)
    row = Avatar(
        avatar_id=avatar_id,
        tenant_id=work.tenant(),
        name=avatar.name,
        labels=avatar.labels,
        status=ResourceStatus.pending,
        capture_upload_id=avatar.capture_upload_id,
        consent_id=avatar.consent_id,
        job_id=job.job_id,
        options=avatar.options,
        facts={},
        version=1,
        created_at=origin.now,
        updated_at=origin.now,
    )
    resources.insert_avatar(work, row)
    return row, job


def submit_video(work: UnitOfWork, video: NewVideo, origin: Origin) -> tuple[Video, Job, Avatar]:
    """Queue the making of a video of an avatar, which is returned with it.

    Raises:
        InvalidInput: ``not_found``; ``avatar_not_ready``; and those of ``submit_avatar``.
    """
    avatar, made = _ready_avatar(work, video.avatar_id)
    speech = _ready_upload(work, video.speech_upload_id, "speech")
    video_id = video.video_id or origin.new_id("vid")
    job = new_job(
        "create_video",
        work.tenant(),
        video_id,
        origin,
        inputs={
            "avatar": _output_of(made, "train"),
            "motion_model": _output_of(made, "fit_motion"),
            "speech": speech.key,
        },
        options=video.options,
    )
    submit_job(work, job, origin.now)
    row = Video(
        video_id=video_id,
        tenant_id=work.tenant(),
        name=video.name,
        labels=video.labels,
        status=ResourceStatus.pending,
        avatar_id=video.avatar_id,
        speech_upload_id=video.speech_upload_id,
        job_id=job.job_id,
        options=video.options,
        facts={},
        version=1,
        created_at=origin.now,
        updated_at=origin.now,
    )
    resources.insert_video(work, row)
    return row, job, avatar


def new_job(
    kind: str,
    tenant_id: str,
    resource_id: str,
    origin: Origin,
    *,
    inputs: Mapping[str, str],
    options: Options,
    plans: Mapping[str, Plan] = PLANS,
) -> Job:
    """A job whose first stages are ready; nothing is stored.

    Raises:
        InvalidInput: ``unknown_job_kind``.
    """
    stages = tuple(
        Stage(spec=spec, status=StageStatus.waiting if spec.needs else StageStatus.ready)
        for spec in plan_job(kind, options, plans)
    )
    return Job(
        job_id=JobId(origin.new_id("job")),
        tenant_id=TenantId(tenant_id),
        kind=kind,
        resource_id=resource_id,
        stages=stages,
        inputs=inputs,
        options=options,
        created_at=origin.now,
        traceparent=origin.traceparent or "",
    )


def submit_job(work: UnitOfWork, job: Job, now: datetime) -> Job:
    """Queue a job of any plan (``new_job`` makes one) against the tenant's quotas.

    Raises:
        InvalidInput: ``quota_open_jobs``; ``quota_stored_bytes``; ``quota_compute_seconds``.
    """
    jobs.insert_job(work, job, now)
    announce(work, job, Announce("job.queued"), origin_at(now), is_first=True)
    usage.take_job_place(work, job.tenant_id, now, is_free=job.kind == "verify_upload")
    return job


def cancel_job(work: UnitOfWork, job_id: str, now: datetime) -> Job:
    """Stop a job; asking again changes nothing.

    Raises:
        InvalidInput: ``not_found``; ``job_finished`` when it has succeeded or failed.
    """
    job, _ = apply_event(work, job_id, CancelRequested(), origin_at(now))
    if job is None:
        raise missing("job", job_id)
    if job.status in {JobStatus.succeeded, JobStatus.failed}:
        raise InvalidInput("job_finished", f"job {job_id} has {job.status} and cannot be canceled")
    return job


def retry_job(work: UnitOfWork, job_id: str, now: datetime) -> Job:
    """Run the unfinished stages of a failed job again; finished ones keep their output.

    Raises:
        InvalidInput: ``not_found``; ``job_not_retryable`` when it has not failed, or what it makes
            is deleted; the quotas of ``submit_job``.
    """
    job = jobs.lock_job(work, job_id)
    if job is None:
        raise missing("job", job_id)
    if job.status is not JobStatus.failed or not resources.is_made_again(work, job):
        raise InvalidInput(
            "job_not_retryable",
            f"job {job_id} is {job.status} and cannot be tried again: only a failed job can, while "
            "what it makes is not deleted; send the request again instead",
        )
    usage.take_job_place(work, job.tenant_id, now)
    for stage in job.stages:
        if stage.status is not StageStatus.succeeded:
            removals.revoke_removals(work, checkpoint_prefix(job, stage.name))
    again, _ = apply_event(work, job_id, RetryRequested(), origin_at(now))
    assert again is not None
    return again


def requeue_job(work: UnitOfWork, job_id: str, now: datetime) -> tuple[Job, int]:
    """Give up a job's attempts under way and have others sent; how many there were.

    No attempt is spent. A worker that lives after all is told to stop, and its results are refused.

    Raises:
        InvalidInput: ``not_found``.
    """
    job = jobs.lock_job(work, job_id)
    if job is None:
        raise missing("job", job_id)
    under_way = [stage for stage in job.stages if stage.status in OPEN_STAGE]
    for stage in under_way:
        gone = WorkersGone(stage.name, stage.attempt, "requeued")
        job, _ = apply_event(work, job_id, gone, origin_at(now))
        assert job is not None
    return job, len(under_way)


def rename_avatar(
    work: UnitOfWork,
    avatar_id: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    expected_version: int | None = None,
) -> Avatar:
    """Change ``name`` and ``labels``.

    Raises:
        InvalidInput: ``not_found``; ``version_conflict`` it has changed since.
    """
    avatar = resources.lock_avatar(work, avatar_id)
    if avatar is None:
        raise missing("ava", avatar_id)
    if expected_version not in {None, avatar.version}:
        raise InvalidInput(
            "version_conflict",
            f"avatar {avatar_id} has version {avatar.version}, not {expected_version}; "
            "read it again and repeat your change",
        )
    allowed = {name: changes[name] for name in ("name", "labels") if name in changes}
    resources.change_resource(work, avatars, avatar_id, allowed, now)
    renamed = listings.find_avatar(work, avatar_id)
    assert renamed is not None
    return renamed


def _ready_upload(work: UnitOfWork, upload_id: str, purpose: str) -> Upload:
    upload = resources.lock_upload(work, upload_id)
    if upload is None:
        raise missing("upl", upload_id)
    if upload.status is not UploadStatus.ready:
        raise InvalidInput(
            "upload_not_ready",
            f"upload {upload_id} is {upload.status}; complete it and wait until it is ready",
        )
    if upload.purpose != purpose:
        raise InvalidInput(
            "wrong_upload_purpose",
            f"upload {upload_id} was requested as {upload.purpose}, a {purpose} is needed",
        )
    if upload.facts.get("has_audio") is False:
        raise InvalidInput(
            "no_audio", f"upload {upload_id} has no sound; send a recording with a microphone"
        )
    return upload


def _ready_avatar(work: UnitOfWork, avatar_id: str) -> tuple[Avatar, Job]:
    """An avatar and the finished job that made it."""
    avatar = resources.lock_avatar(work, avatar_id)
    if avatar is None:
        raise missing("ava", avatar_id)
    job = jobs.get_job(work, avatar.job_id)
    if avatar.status is not ResourceStatus.ready or job is None:
        raise InvalidInput(
            "avatar_not_ready", f"avatar {avatar_id} is {avatar.status}; wait until it is ready"
        )
    return avatar, job


def _output_of(job: Job, stage: str) -> str:
    found = job.stage(stage)
    assert found is not None
    assert found.output is not None
    return found.output.prefix
