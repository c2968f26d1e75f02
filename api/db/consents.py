"""Rows of consents, their revocations and their uses: inserted and read, never changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from api.db.listings import is_after
from api.db.records import Consent, ConsentUse, Cut, UploadStatus
from api.db.statements import upsert
from api.db.tables import (
    avatars,
    consent_revocations,
    consent_uses,
    consents,
    jobs,
    uploads,
    videos,
)
from api.db.unit_of_work import UnitOfWork


class BoundJob(NamedTuple):
    """A job that uses somebody's likeness."""

    job_id: str
    tenant_id: str
    resource_id: str
    kind: str
    is_begun: bool
    consent: Consent


def insert_consent(work: UnitOfWork, consent: Consent) -> None:
    """Keep a new record."""
    row = {
        "id": consent.consent_id,
        "tenant_id": consent.tenant_id,
        "subject": consent.subject,
        "scope": list(consent.scope),
        "statement": consent.statement,
        "evidence_upload_id": consent.evidence_upload_id,
        "capture_sha256": consent.capture_sha256,
        "created_at": consent.created_at,
        "expires_at": consent.expires_at,
    }
    work.connection.execute(sa.insert(consents).values(row))


def find_consent(work: UnitOfWork, consent_id: str) -> Consent | None:
    """The tenant's consent of that id, with its revocation."""
    query = _consents().where(work.owned(consents), consents.c.id == consent_id)
    row = work.connection.execute(query).first()
    return _consent(row) if row else None


def list_consents(work: UnitOfWork, after: Cut | None, n_rows: int) -> list[Consent]:
    """A page of the tenant's consents, newest first."""
    query = _consents().where(work.owned(consents))
    if after is not None:
        query = query.where(is_after(consents, after))
    query = query.order_by(consents.c.created_at.desc(), consents.c.id.desc()).limit(n_rows)
    return [_consent(row) for row in work.connection.execute(query)]


def insert_revocation(
    work: UnitOfWork, consent: Consent, reason: str, now: datetime, *, is_purge: bool
) -> bool:
    """Keep a revocation; False, and nothing kept, where there is one."""
    row = {
        "consent_id": consent.consent_id,
        "tenant_id": consent.tenant_id,
        "reason": reason,
        "is_purge": is_purge,
        "revoked_at": now,
    }
    return upsert(work, consent_revocations, [row]) > 0


def insert_uses(work: UnitOfWork, tenant_id: str, uses: Sequence[ConsentUse]) -> None:
    """Keep what consents were asked for."""
    rows: list[dict[str, Any]] = [
        {
            "tenant_id": tenant_id,
            "consent_id": use.consent_id,
            "action": use.action,
            "resource_id": use.resource_id,
            "is_allowed": use.is_allowed,
            "detail": use.detail,
            "occurred_at": use.occurred_at,
        }
        for use in uses
    ]
    if rows:
        work.connection.execute(sa.insert(consent_uses), rows)


def list_uses(work: UnitOfWork, consent_id: str, limit: int = 100) -> list[ConsentUse]:
    """The newest uses of a consent."""
    query = (
        sa.select(consent_uses)
        .where(work.owned(consent_uses), consent_uses.c.consent_id == consent_id)
        .order_by(consent_uses.c.id.desc())
        .limit(limit)
    )
    return [
        ConsentUse(
            consent_id=row.consent_id,
            action=row.action,
            resource_id=row.resource_id,
            is_allowed=row.is_allowed,
            detail=row.detail,
            occurred_at=row.occurred_at,
        )
        for row in work.connection.execute(query)
    ]


def avatars_under(work: UnitOfWork, consent_id: str) -> list[str]:
    """Ids of the tenant's avatars that a consent allows."""
    query = sa.select(avatars.c.id).where(work.owned(avatars), avatars.c.consent_id == consent_id)
    return list(work.connection.execute(query.order_by(avatars.c.id)).scalars())


def videos_under(work: UnitOfWork, consent_id: str) -> list[str]:
    """Ids of the tenant's videos that a consent has allowed; their avatar may be gone."""
    allowed = sa.select(consent_uses.c.resource_id).where(
        work.owned(consent_uses),
        consent_uses.c.consent_id == consent_id,
        consent_uses.c.is_allowed.is_(sa.true()),
    )
    query = sa.select(videos.c.id).where(work.owned(videos), videos.c.id.in_(allowed))
    return list(work.connection.execute(query.order_by(videos.c.id)).scalars())


def unused_captures(work: UnitOfWork, capture_sha256: str) -> list[str]:
    """Ids of the tenant's uploads of a recording from which no avatar is left."""
    is_used = sa.exists().where(avatars.c.capture_upload_id == uploads.c.id)
    query = sa.select(uploads.c.id).where(
        work.owned(uploads),
        uploads.c.purpose == "capture",
        uploads.c.sha256 == capture_sha256,
        uploads.c.status != UploadStatus.verifying.value,
        ~is_used,
    )
    return list(work.connection.execute(query.order_by(uploads.c.id)).scalars())


def bound_jobs(work: UnitOfWork, job_ids: Sequence[str]) -> list[BoundJob]:
    """Those of ``job_ids`` that make an avatar or a video, each with the consent behind it."""
    return _bound(work, jobs.c.id.in_(job_ids))


def open_jobs_under(work: UnitOfWork, consent_id: str) -> list[BoundJob]:
    """Jobs queued or under way that a consent allows."""
    return _bound(work, sa.and_(consents.c.id == consent_id, jobs.c.finished_at.is_(None)))


def jobs_past_consent(work: UnitOfWork, now: datetime, limit: int) -> list[BoundJob]:
    """Open jobs whose consent is revoked, and those not begun whose consent has expired."""
    is_expired = sa.and_(consents.c.expires_at <= now, jobs.c.is_begun.is_(sa.false()))
    is_over = sa.or_(is_expired, consent_revocations.c.revoked_at <= now)
    return _bound(work, sa.and_(jobs.c.finished_at.is_(None), is_over), limit)


def _bound(
    work: UnitOfWork, condition: sa.ColumnElement[bool], limit: int | None = None
) -> list[BoundJob]:
    """An avatar's job has its consent at hand, a video's through the avatar."""
    found: list[BoundJob] = []
    for made in (avatars, videos):
        through = avatars.c.id == videos.c.avatar_id if made is videos else None
        source = jobs.join(made, made.c.job_id == jobs.c.id)
        if through is not None:
            source = source.join(avatars, through)
        source = source.join(consents, consents.c.id == avatars.c.consent_id).outerjoin(
            consent_revocations, consent_revocations.c.consent_id == consents.c.id
        )
        query = (
            sa.select(
                jobs.c.id.label("job_id"),
                jobs.c.kind,
                jobs.c.resource_id,
                jobs.c.is_begun,
                *_columns(),
            )
            .select_from(source)
            .where(work.owned(jobs), condition)
            .limit(limit)
        )
        found += [
            BoundJob(
                row.job_id, row.tenant_id, row.resource_id, row.kind, row.is_begun, _consent(row)
            )
            for row in work.connection.execute(query)
        ]
    return sorted(found, key=lambda bound: bound.job_id)  # the order in which jobs are locked


def _columns() -> list[sa.ColumnElement[Any]]:
    return [
        *consents.c,
        consent_revocations.c.revoked_at,
        consent_revocations.c.reason.label("revoked_reason"),
    ]


def _consents() -> sa.Select[Any]:
    return sa.select(*_columns()).select_from(
        consents.outerjoin(consent_revocations, consent_revocations.c.consent_id == consents.c.id)
    )


def _consent(row: Any) -> Consent:  # noqa: ANN401 - a row of SQLAlchemy has no type of its own
    return Consent(
        consent_id=row.id,
        tenant_id=row.tenant_id,
        subject=row.subject,
        scope=tuple(row.scope),
        statement=row.statement,
        evidence_upload_id=row.evidence_upload_id,
        capture_sha256=row.capture_sha256,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_reason=row.revoked_reason,
    )
