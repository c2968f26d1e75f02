"""Consents as callers see them."""

from collections.abc import Sequence

from api.db.records import Consent, ConsentUse
from api.schemas.consents import ConsentBody, ConsentUseBody
from api.schemas.links import Links


def consent_body(consent: Consent, address: str, uses: Sequence[ConsentUse] = ()) -> ConsentBody:
    """A consent with its revocation, and its newest uses."""
    return ConsentBody(
        consent_id=consent.consent_id,
        subject=consent.subject,
        scope=list(consent.scope),
        statement=consent.statement or None,
        evidence_upload_id=consent.evidence_upload_id,
        capture_sha256=consent.capture_sha256,
        created_at=consent.created_at,
        expires_at=consent.expires_at,
        revoked_at=consent.revoked_at,
        revoked_reason=consent.revoked_reason,
        uses=[
            ConsentUseBody(
                action=use.action,
                resource_id=use.resource_id,
                is_allowed=use.is_allowed,
                detail=use.detail,
                occurred_at=use.occurred_at,
            )
            for use in uses
        ],
        urls=Links(self=f"{address}/v1/consents/{consent.consent_id}"),
    )
