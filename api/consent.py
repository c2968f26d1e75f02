"""What a consent allows: pure rules.

A consent says who allows what, until when, and is bound to the SHA-256 of one capture. It never
changes: a revocation is a record beside it, and so is every use, allowed or refused.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from api.db.records import Consent, ConsentUse, Upload, UploadStatus
from shared.errors import InvalidInput

MAX_YEARS = timedelta(days=10 * 366)
"""A consent that is to last longer is refused: people change their minds."""


class Action(StrEnum):
    """What is done with a person's likeness."""

    create_avatar = "create_avatar"
    create_video = "create_video"


SCOPE = {Action.create_avatar: "avatar", Action.create_video: "video"}
"""What a consent's scope must hold for an action."""


class ConsentRefused(InvalidInput):
    """A consent does not allow what is wanted; carries the use to be written down."""

    def __init__(self, refusal: InvalidInput, use: ConsentUse) -> None:
        super().__init__(refusal.code, refusal.message)
        self.use = use


def find_refusal(
    consent: Consent, action: Action, now: datetime, *, capture_sha256: str | None = None
) -> InvalidInput | None:
    """Why ``consent`` does not allow ``action`` now; None where it does.

    Args:
        consent: The record, with its revocation if there is one.
        action: What is wanted.
        now: UTC. A consent holds before ``expires_at``, not at it.
        capture_sha256: Of the capture that is used; not compared where it is not given.
    """
    if consent.revoked_at is not None and consent.revoked_at <= now:
        return InvalidInput(
            "consent_revoked",
            f"the consent of {consent.revoked_at:%Y-%m-%d} was revoked; "
            "make a new avatar with a new consent of the person",
        )
    if consent.expires_at is not None and consent.expires_at <= now:
        return InvalidInput(
            "consent_expired",
            f"the consent ended on {consent.expires_at:%Y-%m-%d}; "
            "make a new avatar with a new consent of the person",
        )
    if SCOPE[action] not in consent.scope:
        return InvalidInput(
            "consent_scope",
            f"the consent covers {', '.join(consent.scope) or 'nothing'}, not {SCOPE[action]}; "
            "ask the person for a consent that does",
        )
    if capture_sha256 is not None and capture_sha256 != consent.capture_sha256:
        return InvalidInput(
            "consent_other_capture",
            "the consent was given for another recording; it cannot be carried over",
        )
    return None


def is_stopped(consent: Consent, now: datetime, *, is_begun: bool) -> bool:
    """Whether work under ``consent`` must stop: revoked at once, expired unless it has begun."""
    if consent.revoked_at is not None and consent.revoked_at <= now:
        return True
    is_over = consent.expires_at is not None and consent.expires_at <= now
    return is_over and not is_begun


def check_terms(
    scope: Collection[str],
    expires_at: datetime | None,
    statement: str,
    evidence_upload_id: str | None,
    now: datetime,
) -> None:
    """Refuse terms that would never hold or prove nothing.

    Raises:
        InvalidInput: ``bad_consent`` says what is missing.
    """
    unknown = sorted(set(scope) - set(SCOPE.values()))
    if unknown or SCOPE[Action.create_avatar] not in scope:
        raise InvalidInput(
            "bad_consent",
            f"the scope is {sorted(scope)}; it must hold avatar and may hold video",
        )
    if expires_at is not None and not now < expires_at <= now + MAX_YEARS:
        raise InvalidInput(
            "bad_consent",
            f"the consent ends on {expires_at:%Y-%m-%d}; choose a day in the next ten years",
        )
    if not statement.strip() and evidence_upload_id is None:
        raise InvalidInput(
            "bad_consent", "give the person's statement, or the upload id of a consent video"
        )


def check_evidence(evidence: Upload | None) -> None:
    """Refuse a consent video that is not there, not verified, or something else.

    Raises:
        InvalidInput: ``bad_consent``.
    """
    if evidence is None or evidence.purpose != "consent":
        raise InvalidInput("bad_consent", "the evidence is not an upload of purpose consent")
    if evidence.status is not UploadStatus.ready:
        raise InvalidInput(
            "bad_consent", f"the consent video is {evidence.status.value}; wait until it is ready"
        )
