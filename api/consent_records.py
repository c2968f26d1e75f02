"""Recording consents and asking them, inside the transaction of what they allow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Engine

from api.consent import (
    Action,
    ConsentRefused,
    check_evidence,
    check_terms,
    find_refusal,
    is_stopped,
)
from api.db import consents as rows
from api.db.listings import find_upload
from api.db.records import Consent, ConsentUse, Cut, Upload
from api.db.session import tenant_work
from api.db.unit_of_work import UnitOfWork
from api.ids import check_id, missing


@dataclass(frozen=True, kw_only=True)
class NewConsent:
    """What a tenant says of a person's consent."""

    subject: str
    scope: tuple[str, ...]
    """``avatar``, and ``video`` for videos with it."""
    expires_at: datetime | None
    statement: str = ""
    evidence_upload_id: str | None = None


@contextmanager
def consented_work(database: Engine, tenant_id: str) -> Iterator[UnitOfWork]:
    """A tenant's transaction that may use consents: a refused use is written down as well.

    What is refused rolls everything back, so the refusal is recorded in a transaction of its own.
    """
    try:
        with tenant_work(database, tenant_id) as work:
            yield work
    except ConsentRefused as refused:
        with tenant_work(database, tenant_id) as work:
            rows.insert_uses(work, tenant_id, [refused.use])
        raise


def record_consent(
    work: UnitOfWork,
    new: NewConsent,
    capture: Upload,
    *,
    now: datetime,
    new_id: Callable[[str], str],
) -> Consent:
    """Keep a person's consent to the use of ``capture``, and of no other recording.

    Raises:
        InvalidInput: ``bad_consent``.
    """
    check_terms(new.scope, new.expires_at, new.statement, new.evidence_upload_id, now)
    if new.evidence_upload_id is not None:
        check_evidence(find_upload(work, check_id("upl", new.evidence_upload_id)))
    consent = Consent(
        consent_id=new_id("con"),
        tenant_id=work.tenant(),
        subject=new.subject,
        scope=tuple(sorted(set(new.scope))),
        statement=new.statement,
        evidence_upload_id=new.evidence_upload_id,
        capture_sha256=capture.sha256,
        created_at=now,
        expires_at=new.expires_at,
        revoked_at=None,
        revoked_reason=None,
    )
    rows.insert_consent(work, consent)
    return consent


def use_consent(
    work: UnitOfWork,
    consent_id: str,
    action: Action,
    resource_id: str,
    now: datetime,
    *,
    capture_sha256: str | None = None,
) -> None:
    """Ask a consent and write the use down; call it in ``consented_work``.

    Args:
        work: Transaction in which ``resource_id`` comes into being.
        consent_id: The avatar's consent.
        action: What is wanted.
        resource_id: The avatar or video.
        now: UTC.
        capture_sha256: Of the avatar's capture; given when an avatar is made.

    Raises:
        ConsentRefused: ``consent_revoked``, ``consent_expired``, ``consent_scope`` or
            ``consent_other_capture``.
        InvalidInput: ``not_found``.
    """
    consent = read_consent(work, consent_id)
    _ask(work, consent, action, resource_id, now, capture_sha256=capture_sha256)


def use_consent_again(work: UnitOfWork, job_id: str, now: datetime) -> None:
    """Ask the consent behind a job that is to be tried again; call it in ``consented_work``.

    Raises:
        ConsentRefused: as for ``use_consent``.
    """
    for bound in rows.bound_jobs(work, [job_id]):
        _ask(work, bound.consent, Action(bound.kind), bound.resource_id, now)


def _ask(
    work: UnitOfWork,
    consent: Consent,
    action: Action,
    resource_id: str,
    now: datetime,
    *,
    capture_sha256: str | None = None,
) -> None:
    refusal = find_refusal(consent, action, now, capture_sha256=capture_sha256)
    use = ConsentUse(
        consent_id=consent.consent_id,
        action=action.value,
        resource_id=resource_id,
        is_allowed=refusal is None,
        detail="" if refusal is None else refusal.code,
        occurred_at=now,
    )
    if refusal is not None:
        raise ConsentRefused(refusal, use)
    rows.insert_uses(work, consent.tenant_id, [use])


def stopped_jobs(work: UnitOfWork, job_ids: Sequence[str], now: datetime) -> set[str]:
    """Those of ``job_ids`` that must not be sent to a worker any more; one query for all.

    The dispatcher asks, so that not even a job submitted in the moment of a revocation is run.
    """
    if not job_ids:
        return set()
    return {
        bound.job_id
        for bound in rows.bound_jobs(work, job_ids)
        if is_stopped(bound.consent, now, is_begun=bound.is_begun)
    }


def read_consent(work: UnitOfWork, consent_id: str) -> Consent:
    """One consent with its revocation.

    Raises:
        InvalidInput: ``not_found``.
    """
    found = rows.find_consent(work, check_id("con", consent_id))
    if found is None:
        raise missing("con", consent_id)
    return found


def list_consents(work: UnitOfWork, *, limit: int, after: Cut | None = None) -> list[Consent]:
    """A page of consents, newest first."""
    return rows.list_consents(work, after, limit)


def list_uses(work: UnitOfWork, consent_id: str, limit: int = 100) -> list[ConsentUse]:
    """The newest uses of a consent, allowed and refused.

    Raises:
        InvalidInput: ``not_found``.
    """
    read_consent(work, consent_id)
    return rows.list_uses(work, consent_id, limit)
