"""Uploads, avatars, videos, consents and receipts as callers see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.db.records import Avatar, Deletion, ResourceStatus, Upload, Video
from api.schemas.avatars import AvatarBody
from api.schemas.deletions import DeletionBody
from api.schemas.links import FileLink, Links
from api.schemas.uploads import FailureBody, UploadBody, UploadForm
from api.schemas.videos import VideoBody

VIDEO_FILES = ("video.mp4", "video.webm")
"""Names that the film itself may have in a video's artifact."""


def upload_body(upload: Upload, address: str, form: UploadForm | None = None) -> UploadBody:
    """What the routes of uploads answer."""
    own = f"{address}/v1/uploads/{upload.upload_id}"
    job = upload.job_id and f"{address}/v1/jobs/{upload.job_id}"
    return UploadBody(
        upload_id=upload.upload_id,
        file_name=upload.file_name,
        content_type=upload.content_type,
        size_bytes=upload.n_bytes,
        sha256=upload.sha256,
        purpose=upload.purpose,
        status=upload.status,
        facts=dict(upload.facts),
        failure=_failure(upload.failure),
        form=form,
        job_id=upload.job_id,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
        urls=Links(self=own, job=job or None, events=f"{job}/events" if job else None),
    )


def avatar_body(avatar: Avatar, address: str) -> AvatarBody:
    """What the routes of avatars answer."""
    own = f"{address}/v1/avatars/{avatar.avatar_id}"
    return AvatarBody(
        avatar_id=avatar.avatar_id,
        name=avatar.name,
        status=avatar.status,
        labels=dict(avatar.labels),
        capture_upload_id=avatar.capture_upload_id,
        consent_id=avatar.consent_id,
        job_id=avatar.job_id,
        options=dict(avatar.options),
        facts=dict(avatar.facts),
        version=avatar.version,
        created_at=avatar.created_at,
        updated_at=avatar.updated_at,
        urls=_made_links(own, avatar.job_id, avatar.status, address, f"{own}/files"),
    )


def video_body(video: Video, address: str, files: Sequence[FileLink] | None) -> VideoBody:
    """What the routes of videos answer; ``files`` with fresh links, once it is ready."""
    own = f"{address}/v1/videos/{video.video_id}"
    film = next((file.url for file in files or () if file.path in VIDEO_FILES), None)
    return VideoBody(
        video_id=video.video_id,
        name=video.name,
        status=video.status,
        labels=dict(video.labels),
        avatar_id=video.avatar_id,
        speech_upload_id=video.speech_upload_id,
        job_id=video.job_id,
        options=dict(video.options),
        facts=dict(video.facts),
        files=None if files is None else list(files),
        created_at=video.created_at,
        updated_at=video.updated_at,
        urls=_made_links(own, video.job_id, video.status, address, film),
    )


def deletion_body(deletion: Deletion, address: str) -> DeletionBody:
    """What every DELETE of artifacts answers."""
    return DeletionBody(
        deletion_id=deletion.deletion_id,
        subject_kind=deletion.subject_kind,
        subject_id=deletion.subject_id,
        reason=deletion.reason,
        removed=list(deletion.removed),
        n_objects=deletion.n_objects,
        n_bytes=deletion.n_bytes,
        created_at=deletion.created_at,
        finished_at=deletion.finished_at,
        urls=Links(self=f"{address}/v1/deletions/{deletion.deletion_id}"),
    )


def _made_links(
    own: str, job_id: str, status: ResourceStatus, address: str, result: str | None
) -> Links:
    job = f"{address}/v1/jobs/{job_id}"
    return Links(
        self=own,
        job=job,
        events=f"{job}/events",
        cancel=f"{job}/cancel" if status is ResourceStatus.pending else None,
        retry=f"{job}/retry" if status is ResourceStatus.failed else None,
        result=result if status is ResourceStatus.ready else None,
    )


def _failure(failure: Mapping[str, Any] | None) -> FailureBody | None:
    if failure is None:
        return None
    return FailureBody(code=str(failure["code"]), message=str(failure["message"]))
