"""Deletes uploads, avatars and videos: rows at once, objects by the collector, with a receipt."""

from datetime import datetime, timedelta

from api.db import jobs, listings, removals, resources
from api.db.records import Avatar, Deletion, ResourceStatus, Upload, UploadStatus, Video
from api.db.tables import avatars, uploads, videos
from api.db.unit_of_work import UnitOfWork
from api.ids import missing
from api.jobs.apply import Origin, apply_event
from api.jobs.attempt_rules import ZOMBIE_SECONDS
from api.jobs.job import JobStatus, job_prefix, stored_bytes
from api.jobs.signals import CancelRequested
from shared.errors import InvalidInput


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
        InvalidInput: ``not_found``.
    """
    avatar = listings.find_avatar(work, avatar_id)
    if avatar is None:
        raise missing("ava", avatar_id)
    made = resources.videos_of_avatar(work, avatar_id)
    waiting = [video for video in made if video.status is ResourceStatus.pending]
    _stop(work, [avatar.job_id, *(video.job_id for video in waiting)], origin)
    capture = _capture_alone(work, avatar) if with_capture else None
    gone = made if with_videos else []
    removed = [f"avatar:{avatar_id}", f"job:{avatar.job_id}"]
    removed += [name for video in gone for name in _names_of(video)]
    removed += [f"upload:{capture.upload_id}"] if capture else []
    receipt = _receipt(avatar.tenant_id, ("avatar", avatar_id), reason, removed, origin)
    removals.add_deletion(work, receipt)
    _remove_job(work, avatar.job_id, receipt, origin.now)
    for video in gone:
        _remove_job(work, video.job_id, receipt, origin.now)
        resources.delete_row(work, videos, video.video_id)
    if capture:
        _remove_upload(work, capture, receipt, origin.now)
    resources.delete_row(work, avatars, avatar_id)
    return receipt


def delete_video(
    work: UnitOfWork, video_id: str, origin: Origin, *, reason: str = "requested"
) -> Deletion:
    """Stop its job and remove a video with all its artifacts.

    Raises:
        InvalidInput: ``not_found``.
    """
    video = listings.find_video(work, video_id)
    if video is None:
        raise missing("vid", video_id)
    _stop(work, [video.job_id], origin)
    receipt = _receipt(video.tenant_id, ("video", video_id), reason, _names_of(video), origin)
    removals.add_deletion(work, receipt)
    _remove_job(work, video.job_id, receipt, origin.now)
    resources.delete_row(work, videos, video_id)
    return receipt


def delete_upload(
    work: UnitOfWork, upload_id: str, origin: Origin, *, reason: str = "requested"
) -> Deletion:
    """Remove an upload that nothing under way reads.

    Raises:
        InvalidInput: ``not_found``; ``upload_in_use``.
    """
    upload = resources.lock_upload(work, upload_id)
    if upload is None:
        raise missing("upl", upload_id)
    users = resources.users_of_upload(work, upload_id, only_pending=True)
    if upload.status is UploadStatus.verifying or users:
        raise InvalidInput(
            "upload_in_use",
            f"upload {upload_id} is being read by {', '.join(users) or 'its verification'}; "
            "cancel that first or wait for its end",
        )
    about = ("upload", upload_id)
    receipt = _receipt(upload.tenant_id, about, reason, [f"upload:{upload_id}"], origin)
    removals.add_deletion(work, receipt)
    _remove_upload(work, upload, receipt, origin.now)
    return receipt


def _stop(work: UnitOfWork, job_ids: list[str], origin: Origin) -> None:
    """Cancel jobs, always in the same order, so that two deletions cannot hold each other up."""
    for job_id in sorted(job_ids):
        apply_event(work, job_id, CancelRequested(), origin)


def _remove_job(work: UnitOfWork, job_id: str, receipt: Deletion, now: datetime) -> None:
    """Have everything removed that a job has made; a canceled one has seen to its account."""
    job = jobs.get_job(work, job_id)
    if job is None:
        return
    removals.put_on_receipt(work, job_id, receipt.deletion_id, now)
    prefix = job_prefix(job.tenant_id, job.job_id)
    is_counted = job.status in {JobStatus.succeeded, JobStatus.failed}
    removals.add_removal(
        work,
        job.tenant_id,
        prefix,
        now,
        counted_bytes=stored_bytes(job) if is_counted else 0,
        deletion_id=receipt.deletion_id,
        job_id=job_id,
    )
    if not job.is_terminal:
        later = now + timedelta(seconds=ZOMBIE_SECONDS)
        removals.add_removal(work, job.tenant_id, prefix, later, job_id=job_id)


def _remove_upload(work: UnitOfWork, upload: Upload, receipt: Deletion, now: datetime) -> None:
    """Remove an upload; a rejected or expired one has been taken off the account before."""
    is_counted = upload.status not in {UploadStatus.rejected, UploadStatus.expired}
    removals.add_removal(
        work,
        upload.tenant_id,
        upload.key,
        now,
        counted_bytes=upload.n_bytes if is_counted else 0,
        deletion_id=receipt.deletion_id,
    )
    resources.delete_row(work, uploads, upload.upload_id)


def _capture_alone(work: UnitOfWork, avatar: Avatar) -> Upload | None:
    """The capture of an avatar, unless another avatar was made from it."""
    if resources.users_of_upload(work, avatar.capture_upload_id) != [avatar.avatar_id]:
        return None
    return resources.lock_upload(work, avatar.capture_upload_id)


def _names_of(video: Video) -> list[str]:
    return [f"video:{video.video_id}", f"job:{video.job_id}"]


def _receipt(
    tenant_id: str, about: tuple[str, str], reason: str, removed: list[str], origin: Origin
) -> Deletion:
    return Deletion(
        deletion_id=origin.new_id("del"),
        tenant_id=tenant_id,
        subject_kind=about[0],
        subject_id=about[1],
        reason=reason,
        removed=tuple(removed),
        n_objects=0,
        n_bytes=0,
        created_at=origin.now,
        finished_at=None,
    )
