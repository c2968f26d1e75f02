"""What tenants can do with jobs and with what jobs make; called by routes, inside a transaction.

Each takes an open ``UnitOfWork`` of a tenant and plain values, changes rows, and returns values.
Ids and moments come in: ``new_id("job")`` gives ``job_…``, unguessable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from api.db.records import Avatar, Deletion, Upload, Video
from api.db.unit_of_work import UnitOfWork
from api.jobs.job import Job


class Origin(NamedTuple):
    """When and in which trace something is asked, and where ids come from."""

    now: datetime
    new_id: Callable[[str], str]
    traceparent: str | None = None


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
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the stage that verifies it."""


@dataclass(frozen=True, kw_only=True)
class NewAvatar:
    """What an avatar is to be made from; consent was checked before (``api/consent.py``)."""

    name: str
    capture_upload_id: str
    consent_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Stage name -> its options, checked before."""


@dataclass(frozen=True, kw_only=True)
class NewVideo:
    """What a video is to be made from."""

    name: str
    avatar_id: str
    speech_upload_id: str
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def request_upload(work: UnitOfWork, upload: NewUpload, origin: Origin) -> Upload:
    """Note an upload; the caller then presigns ``Upload.key``.

    Raises:
        InvalidInput: ``quota_stored_bytes`` the tenant has no room for it.
    """
    raise NotImplementedError


def complete_upload(work: UnitOfWork, upload_id: str, origin: Origin) -> tuple[Upload, Job]:
    """Have a worker verify what was uploaded; the same job again if that was asked before.

    Raises:
        InvalidInput: ``unknown_upload``, ``upload_expired``, ``quota_open_jobs``.
    """
    raise NotImplementedError


def submit_avatar(work: UnitOfWork, avatar: NewAvatar, origin: Origin) -> tuple[Avatar, Job]:
    """Queue the making of an avatar.

    Raises:
        InvalidInput: ``unknown_upload``; ``upload_not_ready``; ``wrong_upload_purpose``;
            ``quota_open_jobs``; ``quota_stored_bytes``; ``quota_compute_seconds``.
    """
    raise NotImplementedError


def submit_video(work: UnitOfWork, video: NewVideo, origin: Origin) -> tuple[Video, Job]:
    """Queue the making of a video.

    Raises:
        InvalidInput: ``unknown_avatar``; ``avatar_not_ready``; and those of ``submit_avatar``.
    """
    raise NotImplementedError


def submit_job(work: UnitOfWork, job: Job, now: datetime) -> Job:
    """Queue a job of any plan (``new_job`` makes one) against the tenant's quotas.

    Raises:
        InvalidInput: ``quota_open_jobs``; ``quota_stored_bytes``; ``quota_compute_seconds``.
    """
    raise NotImplementedError


def cancel_job(work: UnitOfWork, job_id: str, now: datetime) -> Job:
    """Stop a job; asking again changes nothing.

    Raises:
        InvalidInput: ``unknown_job``; ``job_finished`` when it has succeeded or failed.
    """
    raise NotImplementedError


def retry_job(work: UnitOfWork, job_id: str, now: datetime) -> Job:
    """Run the unfinished stages of a failed or canceled job again; finished ones keep their output.

    Raises:
        InvalidInput: ``unknown_job``; ``job_not_retryable`` when it is under way, has succeeded, or
            what it makes is deleted; the quotas of ``submit_job``.
    """
    raise NotImplementedError


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
        InvalidInput: ``unknown_avatar``; ``version_conflict`` it has changed since.
    """
    raise NotImplementedError


def delete_avatar(
    work: UnitOfWork,
    avatar_id: str,
    origin: Origin,
    *,
    reason: str = "requested",
    with_videos: bool = False,
    with_capture: bool = False,
) -> Deletion:
    """Stop what is being made from an avatar and remove it with all its artifacts.

    The rows are gone with the transaction; objects are removed by the collector, which may be
    killed and goes on. ``with_videos`` removes its videos too, ``with_capture`` the uploaded
    capture unless another avatar was made from it.

    Raises:
        InvalidInput: ``unknown_avatar``.
    """
    raise NotImplementedError


def delete_video(
    work: UnitOfWork, video_id: str, origin: Origin, *, reason: str = "requested"
) -> Deletion:
    """Stop its job and remove a video with all its artifacts.

    Raises:
        InvalidInput: ``unknown_video``.
    """
    raise NotImplementedError


def delete_upload(
    work: UnitOfWork, upload_id: str, origin: Origin, *, reason: str = "requested"
) -> Deletion:
    """Remove an upload that nothing under way reads.

    Raises:
        InvalidInput: ``unknown_upload``; ``upload_in_use``.
    """
    raise NotImplementedError
