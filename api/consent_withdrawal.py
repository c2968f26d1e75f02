"""What the end of a consent does: work under it stops, and on request everything is removed."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.engine import Engine

from api.consent import Action, find_refusal
from api.consent_records import read_consent
from api.db import consents as rows
from api.db.consents import BoundJob
from api.db.jobs import lock_job
from api.db.records import Consent, ConsentUse, Deletion
from api.db.session import engine_work, tenant_work
from api.db.unit_of_work import UnitOfWork
from api.jobs.apply import announce, origin_at
from api.jobs.job import JobStatus
from api.jobs.signals import Announce
from api.jobs.use_cases import Origin, cancel_job, delete_avatar, delete_upload, delete_video

REASON = "consent_revoked"
_BATCH = 100


class Revoked(NamedTuple):
    """What a revocation did."""

    consent: Consent
    stopped_jobs: tuple[str, ...]
    deletions: tuple[Deletion, ...]
    """Receipts: what is removed, and once it is, how many objects and bytes, and when."""


def revoke_consent(
    work: UnitOfWork, consent_id: str, reason: str, origin: Origin, *, is_purge: bool = False
) -> Revoked:
    """End a consent now, stop every job under it, and with ``is_purge`` remove what was made.

    Again it changes nothing, but a purge can still be asked for. The record and its uses stay.

    Raises:
        InvalidInput: ``not_found``.
    """
    consent = read_consent(work, consent_id)
    rows.insert_revocation(work, consent, reason, origin.now, is_purge=is_purge)
    stopped = [
        bound.job_id
        for bound in rows.open_jobs_under(work, consent_id)
        if _stop(work, bound, origin.now)
    ]
    deletions = _purge(work, consent, origin) if is_purge else []
    return Revoked(read_consent(work, consent_id), tuple(stopped), tuple(deletions))


def stop_unconsented(database: Engine, now: datetime) -> int:
    """Stop queued jobs whose consent has expired, and any whose consent is revoked.

    One round of an engine loop, every few seconds; the dispatcher's own question
    (``stopped_jobs``) holds in between. Returns how many were stopped.
    """
    with engine_work(database, is_read_only=True) as work:
        past = rows.jobs_past_consent(work, now, _BATCH)
    n_stopped = 0
    for bound in past:
        with tenant_work(database, bound.tenant_id) as work:
            n_stopped += _stop(work, bound, now)
    return n_stopped


def _purge(work: UnitOfWork, consent: Consent, origin: Origin) -> list[Deletion]:
    """Remove avatars with their videos and capture, then what outlived an avatar deleted before."""
    consent_id = consent.consent_id
    receipts = [
        delete_avatar(work, avatar_id, origin, reason=REASON, with_videos=True, with_capture=True)
        for avatar_id in rows.avatars_under(work, consent_id)
    ]
    receipts += [
        delete_video(work, video_id, origin, reason=REASON)
        for video_id in rows.videos_under(work, consent_id)
    ]
    receipts += [
        delete_upload(work, upload_id, origin, reason=REASON)
        for upload_id in rows.unused_captures(work, consent.capture_sha256)
    ]
    for receipt in receipts:
        _note(work, consent, "purge", receipt.subject_id, origin.now)
    return receipts


def _stop(work: UnitOfWork, bound: BoundJob, now: datetime) -> bool:
    """Cancel a job and say why in its log; False where it has ended, or is ending already."""
    job = lock_job(work, bound.job_id)
    if job is None or job.is_terminal or job.status is JobStatus.canceling:
        return False
    refusal = find_refusal(bound.consent, Action(bound.kind), now)
    code = refusal.code if refusal else REASON
    announce(work, job, Announce("job.consent_ended", {"code": code}), origin_at(now))
    cancel_job(work, bound.job_id, now)
    _note(work, bound.consent, bound.kind, bound.resource_id, now, refused_with=code)
    return True


def _note(
    work: UnitOfWork,
    consent: Consent,
    action: str,
    resource_id: str,
    now: datetime,
    *,
    refused_with: str = "",
) -> None:
    use = ConsentUse(
        consent_id=consent.consent_id,
        action=action,
        resource_id=resource_id,
        is_allowed=not refused_with,
        detail=refused_with,
        occurred_at=now,
    )
    rows.insert_uses(work, consent.tenant_id, [use])
