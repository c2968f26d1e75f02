"""Writes uploads, avatars and videos; ``listings`` reads them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from api.db import listings
from api.db.records import Avatar, ResourceStatus, Upload, UploadStatus, Video
from api.db.tables import avatars, uploads, videos
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import Job, JobStatus


def insert_upload(work: UnitOfWork, upload: Upload) -> None:
    """Store a new upload."""
    work.connection.execute(
        sa.insert(uploads).values(
            id=upload.upload_id,
            tenant_id=upload.tenant_id,
            purpose=upload.purpose,
            file_name=upload.file_name,
            content_type=upload.content_type,
            n_bytes=upload.n_bytes,
            sha256=upload.sha256,
            status=upload.status.value,
            facts=dict(upload.facts),
            created_at=upload.created_at,
            expires_at=upload.expires_at,
        )
    )


def insert_avatar(work: UnitOfWork, avatar: Avatar) -> None:
    """Store a new avatar."""
    row = {
        **_shared_columns(avatar),
        "id": avatar.avatar_id,
        "capture_upload_id": avatar.capture_upload_id,
        "consent_id": avatar.consent_id,
    }
    work.connection.execute(sa.insert(avatars).values(row))


def insert_video(work: UnitOfWork, video: Video) -> None:
    """Store a new video."""
    row = {
        **_shared_columns(video),
        "id": video.video_id,
        "avatar_id": video.avatar_id,
        "speech_upload_id": video.speech_upload_id,
    }
    work.connection.execute(sa.insert(videos).values(row))


def lock_upload(work: UnitOfWork, upload_id: str) -> Upload | None:
    """An upload, held against others until the transaction ends."""
    row = _lock(work, uploads, upload_id)
    return None if row is None else listings.upload_of(row)


def lock_avatar(work: UnitOfWork, avatar_id: str) -> Avatar | None:
    """An avatar, held likewise."""
    row = _lock(work, avatars, avatar_id)
    return None if row is None else listings.avatar_of(row)


def lock_video(work: UnitOfWork, video_id: str) -> Video | None:
    """A video, held likewise."""
    row = _lock(work, videos, video_id)
    return None if row is None else listings.video_of(row)


def change_upload(work: UnitOfWork, upload_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns of an upload."""
    _change(work, uploads, upload_id, changes)


def change_resource(
    work: UnitOfWork, table: sa.Table, row_id: str, changes: Mapping[str, Any], now: datetime
) -> None:
    """Set columns of an avatar or a video, whose version grows."""
    _change(work, table, row_id, {**changes, "version": table.c.version + 1, "updated_at": now})


def delete_row(work: UnitOfWork, table: sa.Table, row_id: str) -> None:
    """Remove a row."""
    work.connection.execute(sa.delete(table).where(table.c.id == row_id, work.owned(table)))


def videos_of_avatar(work: UnitOfWork, avatar_id: str) -> list[Video]:
    """All videos that were made of an avatar, held until the transaction ends."""
    query = sa.select(videos).where(videos.c.avatar_id == avatar_id, work.owned(videos))
    query = query.order_by(videos.c.id)
    if work.is_postgresql:
        query = query.with_for_update()
    return [listings.video_of(row) for row in work.connection.execute(query)]


def users_of_upload(work: UnitOfWork, upload_id: str, *, only_pending: bool = False) -> list[str]:
    """Ids of avatars and videos that were made, or are being made, from an upload."""
    found: list[str] = []
    for table, column in ((avatars, "capture_upload_id"), (videos, "speech_upload_id")):
        query = sa.select(table.c.id).where(table.c[column] == upload_id, work.owned(table))
        if only_pending:
            query = query.where(table.c.status == ResourceStatus.pending.value)
        found += work.connection.execute(query).scalars()
    return found


def is_made_again(work: UnitOfWork, job: Job) -> bool:
    """Whether what a failed job was to make can still be made."""
    if job.kind == "create_avatar":
        return lock_avatar(work, job.resource_id) is not None
    if job.kind == "create_video":
        return lock_video(work, job.resource_id) is not None
    return job.kind != "verify_upload"


def expired_uploads(work: UnitOfWork, now: datetime, limit: int) -> list[Upload]:
    """Uploads that were never completed in time."""
    query = (
        sa.select(uploads)
        .where(
            uploads.c.status == UploadStatus.pending.value,
            uploads.c.expires_at < now,
            work.owned(uploads),
        )
        .limit(limit)
    )
    if work.is_postgresql:
        query = query.with_for_update(skip_locked=True)
    return [listings.upload_of(row) for row in work.connection.execute(query)]


STATUS_OF_JOB = {
    JobStatus.queued: "pending",
    JobStatus.running: "pending",
    JobStatus.canceling: "pending",
    JobStatus.succeeded: "ready",
    JobStatus.failed: "failed",
    JobStatus.canceled: "canceled",
}
"""What a job's state means for what it makes."""


def _shared_columns(made: Avatar | Video) -> dict[str, Any]:
    return {
        "tenant_id": made.tenant_id,
        "name": made.name,
        "labels": dict(made.labels),
        "status": made.status.value,
        "job_id": made.job_id,
        "options": {stage: dict(chosen) for stage, chosen in made.options.items()},
        "facts": dict(made.facts),
        "created_at": made.created_at,
        "updated_at": made.updated_at,
    }


def _lock(work: UnitOfWork, table: sa.Table, row_id: str) -> Any:  # noqa: ANN401 - untyped rows
    query = sa.select(table).where(table.c.id == row_id, work.owned(table))
    if work.is_postgresql:
        query = query.with_for_update()
    return work.connection.execute(query).one_or_none()


def _change(work: UnitOfWork, table: sa.Table, row_id: str, changes: Mapping[str, Any]) -> None:
    statement = sa.update(table).where(table.c.id == row_id, work.owned(table))
    work.connection.execute(statement.values(dict(changes)))
